"""What a disk may hold after the power was cut: replays operations on files, and drops what was not flushed."""

import pathlib


class Node:
    """A file or folder, as it is and as the disk has it."""

    def __init__(self, is_folder):
        self.is_folder = is_folder
        # Of a file its bytes; of a folder names and nodes.
        self.now = {} if is_folder else b""
        self.flushed = {} if is_folder else b""
        self.pending = []
        self.target = None

    def change(self, change):
        """A change of names: pairs of a name and its node, None for one that is gone."""
        self.pending.append(change)
        self.apply(self.now, change)

    @staticmethod
    def apply(names, change):
        for name, node in change:
            if node is None:
                names.pop(name, None)
            else:
                names[name] = node

    def flush(self):
        self.flushed = dict(self.now) if self.is_folder else self.now
        self.pending = []


class Disk:
    """Replays operations; then says what a disk may hold of them after the power was cut."""

    def __init__(self, root):
        self.root, self.top, self.files = root, Node(True), {}

    def folder(self, path):
        """The folder of a path and the name in it; None outside."""
        parts = pathlib.Path(path).relative_to(self.root).parts
        node = self.top
        for part in parts[:-1]:
            node = node.now[part]
        return node, parts[-1]

    def node(self, path):
        parts = pathlib.Path(path).relative_to(self.root).parts
        node = self.top
        for part in parts:
            node = node.now[part]
        return node

    def replay(self, operation):
        if operation.error:
            return
        name = operation.name
        if name == "open":
            folder, last = self.folder(operation.path)
            if operation.other == "new":
                folder.change([(last, Node(False))])
            node = folder.now[last]
            if operation.other == "emptied":
                node.now = b""
            self.files[operation.file] = node
        elif name == "write":
            node, end = self.files[operation.file], operation.offset + len(operation.data)
            before = node.now.ljust(operation.offset, b"\0")
            node.now = before[:operation.offset] + operation.data + before[end:]
        elif name == "truncate":
            node = self.files[operation.file]
            node.now = node.now[:operation.offset].ljust(operation.offset, b"\0")
        elif name == "sync":
            node = self.files.get(operation.file)
            (node if node and operation.path != str(self.root) and not self.is_folder(operation.path)
             else self.node(operation.path)).flush()
        elif name == "close":
            self.files.pop(operation.file, None)
        elif name == "mkdir":
            folder, last = self.folder(operation.path)
            folder.change([(last, Node(True))])
        elif name in ("unlink", "rmdir"):
            folder, last = self.folder(operation.path)
            folder.change([(last, None)])
        elif name == "rename":
            (before, old), (folder, last) = self.folder(operation.path), self.folder(operation.other)
            assert before is folder, operation
            folder.change([(old, None), (last, before.now[old])])
        elif name == "link":
            folder, last = self.folder(operation.other)
            folder.change([(last, self.node(operation.path))])
        elif name == "symlink":
            folder, last = self.folder(operation.other)
            node = Node(False)
            node.target = operation.path
            folder.change([(last, node)])

    def is_folder(self, path):
        try:
            return self.node(path).is_folder
        except KeyError:
            return False

    def left(self, names, contents):
        """What is left where `names` chooses which changes of names have reached the disk, `contents` which bytes."""
        result = {}

        def visit(node, place):
            if node.target is not None:
                result[place] = ("link", node.target)
            elif not node.is_folder:
                result[place] = ("file", contents(node))
            else:
                result[place] = ("folder", b"")
                found = dict(node.flushed)
                for change in node.pending:
                    if names(change):
                        Node.apply(found, change)
                for name, child in sorted(found.items()):
                    visit(child, place / name)

        visit(self.top, pathlib.PurePath("."))
        return result


def no_name(change):
    return False


def any_name(change):
    return True


def flushed(node):
    return node.flushed


def all_bytes(node):
    return node.now


def torn(node, share):
    """The flushed bytes, and of those behind them a part."""
    if node.now[:len(node.flushed)] != node.flushed:
        return node.now
    return node.now[:len(node.flushed) + int(share * (len(node.now) - len(node.flushed)))]


def zeros(node):
    """The length has reached the disk and the bytes have not."""
    if node.now[:len(node.flushed)] != node.flushed:
        return node.flushed
    return node.flushed + bytes(len(node.now) - len(node.flushed))


def losses(disk, chance, count):
    """Kinds of loss with what they leave."""
    yield "nothing unflushed", disk.left(no_name, flushed)
    yield "everything", disk.left(any_name, all_bytes)
    yield "names without bytes", disk.left(any_name, flushed)
    yield "names with zeros", disk.left(any_name, zeros)
    yield "bytes without names", disk.left(no_name, all_bytes)
    yield "half of the bytes", disk.left(any_name, lambda node: torn(node, 0.5))
    for _ in range(count):
        yield "a part", disk.left(
            lambda change: chance.random() < 0.5,
            lambda node: chance.choice([flushed, all_bytes, zeros, lambda node: torn(node, chance.random())])(node))
