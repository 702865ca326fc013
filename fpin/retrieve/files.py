"""Content written to disk, or to a stream, so that nothing half-done stands under its final name.

Takes the parts of `fpin.retrieve.content` in order. Writes into a temporary place beside the destination and
renames at the end. Refuses to know where content comes from, and to follow any symbolic link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from fpin.errors import LocalError, UsageError, VerificationFailed
from fpin.retrieve import content
from fpin.retrieve.content import Directory, File, FileEnd, Part, Symlink

# O_EXCL and O_NOFOLLOW: every file is one that this process made just now, never something a hostile name
# (or a file system that takes "A" and "a" for the same) led to.
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@dataclass(slots=True)
class Written:
    """What was written so far."""

    bytes: int = 0
    files: int = 0
    skipped: list[str] = field(default_factory=list)  # symbolic links that lead out of the content


def write_stream(parts: Iterable[Part], out: BinaryIO) -> Generator[Written, None, None]:
    """Write one file's bytes to *out* as they come, yielding after each part.

    Raises UsageError when the content is not a file. Every byte was verified, but a failure later on leaves
    those that were written.
    """
    written = Written()
    for part in parts:
        if isinstance(part, Directory | Symlink):
            raise UsageError("the content is not a file, so it cannot go to one stream", hint="use -o FOLDER")
        if isinstance(part, bytes):
            with _local("standard output"):
                out.write(part)
            written.bytes += len(part)
        elif isinstance(part, FileEnd):
            with _local("standard output"):
                out.flush()
            written.files += 1
        yield written


def write_tree(parts: Iterable[Part], out: Path) -> Generator[Written, None, None]:
    """Write content to *out*, a path that does not exist yet or is an empty folder; yield after each part.

    *out* appears in one step, when everything was verified and written; whatever ends this before leaves
    nothing behind. Raises LocalError for what this machine refuses.
    """
    out = out.absolute()
    _require_free(out)
    with _local(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    workplace = out.parent / f".{out.name[:100]}.fpin-{secrets.token_hex(6)}"
    tree = _Tree(workplace)
    try:
        for part in parts:
            tree.write(part)
            yield tree.written
        tree.finish()
        if not os.path.lexists(workplace):
            raise UsageError(
                f"the content is a symbolic link that leads out of it: {tree.written.skipped[0]}"
            )
        with _local(out):
            if out.is_dir() and workplace.is_dir():
                out.rmdir()  # empty, as was checked; not every system renames onto it
            os.replace(workplace, out)
    finally:
        with contextlib.suppress(LocalError):
            tree.close()
        _remove(workplace)


class _Tree:
    """Writes parts below *base*, which stands for the content's path ()."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.written = Written()
        self._file: BinaryIO | None = None
        self._at = base
        self._modes: list[tuple[Path, int]] = []

    def write(self, part: Part) -> None:
        if isinstance(part, bytes):
            with _local(self._at):
                assert self._file is not None
                self._file.write(part)
            self.written.bytes += len(part)
        elif isinstance(part, FileEnd):
            self.close()
            self.written.files += 1
        else:
            self._at = self._place(part.path)
            with _local(self._at, _clash(part.path)):
                self._begin(part)

    def _begin(self, part: Directory | File | Symlink) -> None:
        if isinstance(part, Symlink):
            self._link(part)
            return
        if isinstance(part, Directory):
            self._at.mkdir()
        else:
            self._require_space(part.size)
            self._file = os.fdopen(os.open(self._at, _CREATE, 0o666), "wb")
        if part.mode is not None:
            self._modes.append((self._at, part.mode & 0o777))

    def _link(self, link: Symlink) -> None:
        if not _stays_inside(link):
            self.written.skipped.append(f"{'/'.join(link.path) or '.'} -> {link.target}")
            return
        os.symlink(link.target, self._at)
        self.written.files += 1

    def finish(self) -> None:
        """Set the modes, innermost first: a folder may become read-only only when it is full."""
        for path, mode in reversed(self._modes):
            with _local(path):
                path.chmod(mode)

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with _local(self._at):
                file.close()

    def _place(self, path: content.Path) -> Path:
        if os.name == "nt" and any(set(name) & set('\\:*?"<>|') for name in path):
            raise LocalError(f"{'/'.join(path)!r} cannot be a file name on this system")
        return self.base.joinpath(*path)

    def _require_space(self, size: int) -> None:
        # Cheap, and it stops content that claims to be huge before it fills the disk.
        free = shutil.disk_usage(self.base.parent).free
        if size > free:
            raise LocalError(
                f"not enough space for {self._at.name}: it holds {size} bytes, {free} are free",
                needed=size,
                free=free,
            )


def _stays_inside(link: Symlink) -> bool:
    """Tell whether *link* cannot lead out of the content, whatever other links it meets on its way.

    Its ``..`` must all come first: then they climb real folders only, and what follows can only descend or
    meet links that were held to the same rule. A link in place of the whole content leads out by nature.
    """
    if not link.path or not link.target or link.target.startswith(("/", "\\")) or "\0" in link.target:
        return False
    if os.name == "nt" and (":" in link.target or "\\" in link.target):
        return False
    steps = [step for step in link.target.split("/") if step not in ("", ".")]
    ups = next((index for index, step in enumerate(steps) if step != ".."), len(steps))
    return ".." not in steps[ups:] and ups < len(link.path)


def _require_free(out: Path) -> None:
    hint = "name another place with -o, or move it away first"
    with _local(out):
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise LocalError(f"{out} exists already", hint=hint, path=str(out))
        if out.is_dir() and any(out.iterdir()):
            raise LocalError(f"{out} exists already and is not empty", hint=hint, path=str(out))


def _clash(path: content.Path) -> str:
    return f"{'/'.join(path)!r} and another name in the content are one and the same to this file system"


@contextlib.contextmanager
def _local(path: Path | str, clash: str | None = None) -> Iterator[None]:
    """Turn what the operating system refuses into a `LocalError` that names *path*."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of standard output went away, which is its right
    except FileExistsError as exc:
        raise LocalError(clash or f"{path} exists already", path=str(path)) from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space and run it again"
            raise LocalError(f"no space left while writing {path}", hint=hint, path=str(path)) from exc
        raise LocalError(f"cannot write {path}: {exc.strerror or exc}", path=str(path)) from exc
    except ValueError as exc:  # a NUL byte, or a name that cannot be encoded here
        raise VerificationFailed(f"the content has a name that no file can have: {path}") from exc


def _remove(path: Path) -> None:
    """Remove what is left of a failed attempt; read-only folders in it become writable first."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
