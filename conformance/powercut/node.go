// SPDX-License-Identifier: Apache-2.0

package powercut

import (
	"bytes"
	"context"
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or a directory of a Disk. Each of its methods does what was
// asked for in the directory behind, and records what has changed.
type node struct {
	*fs.LoopbackNode
	disk *Disk
}

// WrapChild implements fs.NodeWrapChilder.
func (n *node) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	if loopback, ok := child.(*fs.LoopbackNode); ok {
		return &node{LoopbackNode: loopback, disk: n.disk}
	}
	return child
}

var (
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeSymlinker = (*node)(nil)
	_ fs.NodeLinker    = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)

	_ fs.NodeWrapChilder    = (*node)(nil)
	_ fs.NodeOpendirHandler = (*node)(nil)
	_ fs.FileFsyncdirer     = (*directory)(nil)

	_ fs.NodeCopyFileRanger = (*node)(nil)
	_ fs.NodeTmpfiler       = (*node)(nil)
	_ fs.NodeAllocater      = (*node)(nil)
)

// where is the path of the node, and of a name in it.
func (n *node) where(name string) string { return path.Join(n.Path(nil), name) }

func number(inode *fs.Inode) uint64 { return inode.StableAttr().Ino }

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	at := n.where(name)
	inode, handle, fuseFlags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno == fs.OK {
		n.disk.record(&Change{kind: create, path: at, file: number(inode), mode: mode})
	}
	return inode, throughUs(handle), fuseFlags, errno
}

// Mkdir implements fs.NodeMkdirer.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	at := n.where(name)
	inode, errno := n.LoopbackNode.Mkdir(ctx, name, mode, out)
	return inode, n.disk.done(errno, &Change{kind: mkdir, path: at, mode: mode})
}

// Symlink implements fs.NodeSymlinker.
func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	at := n.where(name)
	inode, errno := n.LoopbackNode.Symlink(ctx, target, name, out)
	return inode, n.disk.done(errno, &Change{kind: symlink, path: at, to: target})
}

// Link implements fs.NodeLinker.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	from, to := target.EmbeddedInode().Path(nil), n.where(name)
	inode, errno := n.LoopbackNode.Link(ctx, target, name, out)
	return inode, n.disk.done(errno, &Change{kind: link, path: from, to: to})
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(ctx context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL // no rename that exchanges, or that replaces nothing, as on some file systems
	}
	from, to := n.where(name), path.Join(newParent.EmbeddedInode().Path(nil), newName)
	errno := n.LoopbackNode.Rename(ctx, name, newParent, newName, flags)
	return n.disk.done(errno, &Change{kind: rename, path: from, to: to})
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	at := n.where(name)
	return n.disk.done(n.LoopbackNode.Unlink(ctx, name), &Change{kind: remove, path: at})
}

// Rmdir implements fs.NodeRmdirer.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	at := n.where(name)
	return n.disk.done(n.LoopbackNode.Rmdir(ctx, name), &Change{kind: remove, path: at})
}

// Setattr implements fs.NodeSetattrer. A length counts; who owns a file and when
// it was touched does not.
func (n *node) Setattr(ctx context.Context, handle fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	errno := n.LoopbackNode.Setattr(ctx, handle, in, out)
	if size, ok := in.GetSize(); ok && errno == fs.OK {
		n.disk.record(&Change{kind: truncate, path: n.where(""), file: number(&n.Inode), offset: int64(size)})
	}
	return errno
}

// Open implements fs.NodeOpener. The kernel asks for the length 0 itself.
func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	handle, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	if errno == fs.OK && flags&syscall.O_TRUNC != 0 {
		n.disk.record(&Change{kind: truncate, path: n.where(""), file: number(&n.Inode)})
	}
	return throughUs(handle), fuseFlags, errno
}

// file is an open file whose reads and writes pass through this program, where the
// kernel would serve them from the file behind.
type file struct{ *fs.LoopbackFile }

func throughUs(handle fs.FileHandle) fs.FileHandle {
	if loopback, ok := handle.(*fs.LoopbackFile); ok {
		return file{loopback}
	}
	return handle
}

// PassthroughFd implements fs.FilePassthroughFder.
func (file) PassthroughFd() (int, bool) { return 0, false }

// directory is an open directory.
type directory struct {
	openDirectory
	node *node
}

// openDirectory is what fs.LoopbackNode returns for one.
type openDirectory interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
}

// OpendirHandle implements fs.NodeOpendirHandler.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	handle, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if open, ok := handle.(openDirectory); ok && errno == fs.OK {
		return &directory{open, n}, fuseFlags, errno
	}
	return handle, fuseFlags, errno
}

// Fsyncdir implements fs.FileFsyncdirer.
func (d *directory) Fsyncdir(context.Context, uint32) syscall.Errno {
	return d.node.disk.done(fs.OK, &Change{kind: syncDir, path: d.node.where("")})
}

// Write implements fs.NodeWriter.
func (n *node) Write(ctx context.Context, handle fs.FileHandle, data []byte, offset int64) (uint32, syscall.Errno) {
	file, ok := handle.(fs.FileWriter)
	if !ok {
		return 0, syscall.EBADF
	}
	written, errno := file.Write(ctx, data, offset)
	return written, n.disk.done(errno, &Change{kind: write, path: n.where(""), file: number(&n.Inode), offset: offset, data: bytes.Clone(data[:written])})
}

// Fsync implements fs.NodeFsyncer. What is behind need not be synced.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	return n.disk.done(fs.OK, &Change{kind: syncFile, path: n.where(""), file: number(&n.Inode)})
}

// CopyFileRange implements fs.NodeCopyFileRanger: what is copied has to be
// written.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (uint32, syscall.Errno) {
	return 0, syscall.ENOTSUP
}

// Tmpfile implements fs.NodeTmpfiler: a file has a name, as on some file systems.
func (n *node) Tmpfile(context.Context, uint32, uint32, *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	return nil, nil, 0, syscall.EOPNOTSUPP
}

// Allocate implements fs.NodeAllocater: space cannot be reserved, as on some file
// systems.
func (n *node) Allocate(context.Context, fs.FileHandle, uint64, uint64, uint32) syscall.Errno {
	return syscall.EOPNOTSUPP
}
