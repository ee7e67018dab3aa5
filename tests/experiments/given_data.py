"""A loader of data that a test made itself."""

from binorm.experiments.data.identity import identity


class GivenData:
    path = None

    def __init__(self, data):
        self.data = data

    def dataset(self, recipe):
        return self.data

    def identity(self, recipe):
        return identity(self.data)

    def finds(self, recipe):
        return True
