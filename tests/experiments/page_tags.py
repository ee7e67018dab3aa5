"""What an HTML page consists of."""

from html.parser import HTMLParser


class Tags(HTMLParser):
    """The names of a page's tags, and what it points to; parts of a figure point to others of it, which counts not."""

    def __init__(self, page):
        super().__init__()
        self.sources, self.names = [], set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        self.sources += [value for name, value in attrs if name == "xlink:href" and not value.startswith("#")]
