"""``make messages``: collect new texts into the German catalogues and compile them."""

from __future__ import annotations

from catalogues import PLACE, ROOT, collect


def main() -> None:
    """Rewrite catalogues, drop texts that are gone, and say what still needs a translation."""
    for room, catalogue in collect(ROOT).items():
        for entry in catalogue.obsolete_entries():
            catalogue.remove(entry)
        catalogue.metadata.pop("POT-Creation-Date", None)
        catalogue.save()
        catalogue.save_as_mofile(str((ROOT / room / PLACE).with_suffix(".mo")))
        for entry in (*catalogue.untranslated_entries(), *catalogue.fuzzy_entries()):
            print(f"{room or 'project'}: {entry.msgid!r} needs a translation")


if __name__ == "__main__":
    main()
