"""Signs the head and exports the log to a folder, as the program does, for where the faults come from outside.

python -m tests.faults.exporter DATABASE CHECKPOINT FOLDER
"""

import asyncio
import sys
from pathlib import Path

from integrations.storage.sqlite import SqliteStore
from ledger.notary import Notary
from ledger.note import Signer
from ledger.tiles import export

FAILED = 3
SIGNER = Signer("test", b"s" * 32)


async def sign_and_export(path: Path, checkpoint: Path, folder: Path) -> int:
    """How many entries the folder covers."""
    store = await SqliteStore.open(path)
    try:
        notary = await Notary.open(store, [SIGNER], checkpoint)
        await notary.sign()
        note = await notary.latest()
        assert note is not None
        return (await export(store, note, notary.keys, folder)).checkpoint.size
    finally:
        await store.aclose()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"covers {asyncio.run(sign_and_export(*map(Path, sys.argv[1:4])))}\n")
    except OSError:
        sys.exit(FAILED)
