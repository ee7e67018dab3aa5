"""Builds the C++ kernels, which are optional: without a compiler or PyTorch's headers, binorm installs without them.

Everything else about the package is in pyproject.toml. PyTorch's headers are those of the PyTorch that is installed
where the build runs, so install it first and build without isolation:

    pip install torch 'setuptools>=77' && pip install --no-build-isolation .
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CPU = Path("src/binorm/backends/cpu")
FLAGS = [
    "-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-g0",
    "-Wno-psabi", "-Wno-maybe-uninitialized",  # the latter about GCC 12's own header of AVX-512
]  # fmt: skip


class BuildKernels(build_ext):
    """Compiles in parallel against PyTorch's stable ABI; a failure is written down for the first use to report."""

    def build_extension(self, ext: Extension) -> None:
        """Build, or say why not, in a file beside where the kernels would be."""
        reason = Path(self.get_ext_fullpath(ext.name)).with_name("why_not_built.txt")
        reason.parent.mkdir(parents=True, exist_ok=True)
        reason.unlink(missing_ok=True)
        try:
            self._find_torch(ext)
            self._compile_in_parallel()
            super().build_extension(ext)
        except Exception as error:  # whatever it is, the package works without the kernels
            if os.environ.get("BINORM_REQUIRE_KERNELS") == "1":
                raise
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)  # of an earlier build
            reason.write_text(f"the C++ kernels could not be built ({error})\n", encoding="utf-8")
            print(f"binorm: the C++ kernels are not built: {error}", file=sys.stderr)

    def get_ext_filename(self, fullname: str) -> str:
        """One name for every Python: nothing of Python's own interface is used."""
        return f"{fullname.replace('.', '/')}.so"

    def get_outputs(self) -> list[str]:
        """Only what there is."""
        return [path for path in super().get_outputs() if Path(path).exists()]

    def copy_extensions_to_source(self) -> None:
        """Editable installation: bring the kernels, or why there are none, beside the sources."""
        for name in ("kernels.so", "why_not_built.txt"):
            built, here = Path(self.build_lib, "binorm/backends/cpu", name), CPU / name
            here.unlink(missing_ok=True)
            if built.exists():
                self.copy_file(str(built), str(here))

    def _find_torch(self, ext: Extension) -> None:
        try:
            import torch
        except ImportError as error:
            raise RuntimeError(
                "PyTorch was not there when binorm was built; install it first, then binorm with --no-build-isolation"
            ) from error
        root = Path(torch.__file__).parent
        ext.include_dirs = [str(root / "include")]
        ext.library_dirs = [str(root / "lib")]

    def _compile_in_parallel(self) -> None:
        compile_one_by_one = self.compiler.compile

        def compile_all(sources: list[str], **options: object) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_one_by_one([source], **options), sources)
                return [each for some in objects for each in some]

        self.compiler.compile = compile_all


KERNELS = Extension(
    "binorm.backends.cpu.kernels",
    sources=[
        str(CPU / f"{name}.cpp")
        for name in ("kernels_avx512", "kernels_avx512_bf16", "kernels_avx2", "kernels_base", "operator")
    ],
    depends=[str(path) for path in CPU.glob("*.h")],
    define_macros=[("TORCH_TARGET_VERSION", "0x020a000000000000")],  # 2.10: the least that binorm asks for
    extra_compile_args=FLAGS + os.environ.get("BINORM_CXXFLAGS", "").split(),
    extra_link_args=os.environ.get("BINORM_CXXFLAGS", "").split(),
    libraries=["torch_cpu"],
    language="c++",
)

setup(
    ext_modules=[KERNELS],
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
