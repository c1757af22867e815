"""What mkdocs.yml runs: pages of the site that stand elsewhere in the repository, with their links as they are here."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
# Page of the site -> file of the repository.
PAGES = {
    "index.md": "README.md",
    "contributing.md": ".github/CONTRIBUTING.md",
    "security.md": ".github/SECURITY.md",
    "changes.md": "CHANGELOG.md",
}


def on_files(files, config):
    """Add the pages."""
    for page, file in PAGES.items():
        text = (ROOT / file).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=linked(text, Path(file).parent)))
    return files


def on_page_markdown(markdown, page, **_):
    """Turn links out of docs/ into links of the site."""
    return markdown if page.file.src_uri in PAGES else linked(markdown, Path("docs"))


def linked(text, folder):
    """A page that stands in this folder, with links to where its targets are on the site; others are no links."""
    names = {file: page for page, file in PAGES.items()}

    def target(found):
        path, anchor = found[2], found[3] or ""
        if path.startswith("https://") or not path:
            return found[0]
        place = (ROOT / folder / path).resolve().relative_to(ROOT).as_posix()
        if place in names:
            return f"[{found[1]}]({names[place]}{anchor})"
        return f"[{found[1]}]({place.removeprefix('docs/')}{anchor})" if place.startswith("docs/") else found[1]

    return re.sub(r"\[([^\]]*)\]\(([^)#\s]*)(#[^)]*)?\)", target, text)
