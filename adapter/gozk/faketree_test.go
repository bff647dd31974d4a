package gozk

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// The data model of fakeZK. Functions in lower case run under its lock.

func (f *fakeZK) create(path string, data []byte, flags int32, acl []zk.ACL) (string, error) {
	parent := f.nodes[keeper.Parent(path)]
	if parent == nil {
		return "", zk.ErrNoNode
	}
	if flags == zk.FlagSequence || flags == zk.FlagEphemeralSequential || flags == zk.FlagPersistentSequentialWithTTL {
		path = fmt.Sprintf("%s%010d", path, parent.stat.Cversion)
	}
	if f.nodes[path] != nil {
		return "", zk.ErrNodeExists
	}
	f.zxid++
	n := &fakeNode{data: data, acl: acl}
	n.stat.Czxid, n.stat.Mzxid, n.stat.Pzxid = f.zxid, f.zxid, f.zxid
	n.stat.DataLength = int32(len(data))
	if flags == zk.FlagEphemeral || flags == zk.FlagEphemeralSequential {
		n.stat.EphemeralOwner = f.id
	}
	f.nodes[path] = n
	f.log = append(f.log, path)
	parent.stat.Cversion++
	parent.stat.NumChildren++
	parent.stat.Pzxid = f.zxid
	f.trigger(path, zk.EventNodeCreated, "exist", "data")
	f.trigger(keeper.Parent(path), zk.EventNodeChildrenChanged, "child")
	return path, nil
}

// remove deletes a node at the zxid of the moment.
func (f *fakeZK) remove(path string) {
	delete(f.nodes, path)
	f.trigger(path, zk.EventNodeDeleted, "data", "exist", "child")
	if parent := f.nodes[keeper.Parent(path)]; parent != nil {
		parent.stat.NumChildren--
		parent.stat.Pzxid = f.zxid
		f.trigger(keeper.Parent(path), zk.EventNodeChildrenChanged, "child")
	}
}

func (f *fakeZK) delete(path string, version int32) error {
	n := f.nodes[path]
	switch {
	case n == nil:
		return zk.ErrNoNode
	case version >= 0 && version != n.stat.Version:
		return zk.ErrBadVersion
	case n.stat.NumChildren > 0:
		return zk.ErrNotEmpty
	}
	f.zxid++
	f.remove(path)
	return nil
}

func (f *fakeZK) write(path string, data []byte, version int32) (zk.Stat, error) {
	n := f.nodes[path]
	switch {
	case n == nil:
		return zk.Stat{}, zk.ErrNoNode
	case version >= 0 && version != n.stat.Version:
		return zk.Stat{}, zk.ErrBadVersion
	}
	f.zxid++
	n.data = data
	n.stat.Mzxid = f.zxid
	n.stat.Version++
	n.stat.DataLength = int32(len(data))
	f.trigger(path, zk.EventNodeDataChanged, "data", "exist")
	return n.stat, nil
}

// watch registers a watch of the client and returns its channel.
func (f *fakeZK) watch(kind, path string) <-chan zk.Event {
	w := fakeWatch{kind, path}
	c := make(chan zk.Event, 1)
	f.watchers[w] = append(f.watchers[w], c)
	f.armed[w] = true
	return c
}

func (f *fakeZK) Create(path string, data []byte, flags int32, acl []zk.ACL) (created string, err error) {
	err = f.call("create", path, func() (err error) {
		created, err = f.create(path, data, flags, acl)
		return err
	})
	return created, err
}

func (f *fakeZK) CreateContainer(path string, data []byte, flags int32, acl []zk.ACL) (created string, err error) {
	err = f.call("createContainer", path, func() (err error) {
		created, err = f.create(path, data, flags, acl)
		return err
	})
	return created, err
}

func (f *fakeZK) CreateTTL(path string, data []byte, flags int32, acl []zk.ACL, _ time.Duration) (created string, err error) {
	err = f.call("createTTL", path, func() (err error) {
		created, err = f.create(path, data, flags, acl)
		return err
	})
	return created, err
}

func (f *fakeZK) Delete(path string, version int32) error {
	return f.call("delete", path, func() error { return f.delete(path, version) })
}

func (f *fakeZK) Get(path string) (data []byte, stat *zk.Stat, err error) {
	stat = &zk.Stat{} // as go-zookeeper does, also with an error
	err = f.call("get", path, func() error {
		n := f.nodes[path]
		if n == nil {
			return zk.ErrNoNode
		}
		data, *stat = n.data, n.stat
		return nil
	})
	return data, stat, err
}

func (f *fakeZK) GetW(path string) (data []byte, stat *zk.Stat, fired <-chan zk.Event, err error) {
	err = f.call("getW", path, func() error {
		n := f.nodes[path]
		if n == nil {
			return zk.ErrNoNode
		}
		s := n.stat
		data, stat, fired = n.data, &s, f.watch("data", path)
		return nil
	})
	return data, stat, fired, err
}

func (f *fakeZK) Set(path string, data []byte, version int32) (stat *zk.Stat, err error) {
	stat = &zk.Stat{}
	err = f.call("set", path, func() (err error) {
		*stat, err = f.write(path, data, version)
		return err
	})
	return stat, err
}

// Exists has go-zookeeper's habit of true together with an error.
func (f *fakeZK) Exists(path string) (found bool, stat *zk.Stat, err error) {
	found, stat = true, &zk.Stat{}
	err = f.call("exists", path, func() error {
		n := f.nodes[path]
		if n == nil {
			found = false
			return nil
		}
		*stat = n.stat
		return nil
	})
	return found, stat, err
}

func (f *fakeZK) ExistsW(path string) (found bool, stat *zk.Stat, fired <-chan zk.Event, err error) {
	err = f.call("existsW", path, func() error {
		stat = &zk.Stat{}
		n := f.nodes[path]
		if n == nil {
			fired = f.watch("exist", path)
			return nil
		}
		*stat = n.stat
		found, fired = true, f.watch("data", path)
		return nil
	})
	return found, stat, fired, err
}

func (f *fakeZK) children(path string) (names []string, stat zk.Stat, err error) {
	n := f.nodes[path]
	if n == nil {
		return nil, zk.Stat{}, zk.ErrNoNode
	}
	for p := range f.nodes {
		if p != "/" && keeper.Parent(p) == path {
			names = append(names, keeper.Base(p))
		}
	}
	return names, n.stat, nil
}

func (f *fakeZK) Children(path string) (names []string, stat *zk.Stat, err error) {
	stat = &zk.Stat{}
	err = f.call("children", path, func() (err error) {
		names, *stat, err = f.children(path)
		return err
	})
	return names, stat, err
}

func (f *fakeZK) ChildrenW(path string) (names []string, stat *zk.Stat, fired <-chan zk.Event, err error) {
	err = f.call("childrenW", path, func() (err error) {
		var s zk.Stat
		if names, s, err = f.children(path); err == nil {
			stat, fired = &s, f.watch("child", path)
		}
		return err
	})
	return names, stat, fired, err
}

func (f *fakeZK) GetACL(path string) (acl []zk.ACL, stat *zk.Stat, err error) {
	stat = &zk.Stat{}
	err = f.call("getACL", path, func() error {
		n := f.nodes[path]
		if n == nil {
			return zk.ErrNoNode
		}
		acl, *stat = n.acl, n.stat
		return nil
	})
	return acl, stat, err
}

func (f *fakeZK) SetACL(path string, acl []zk.ACL, version int32) (stat *zk.Stat, err error) {
	stat = &zk.Stat{}
	err = f.call("setACL", path, func() error {
		n := f.nodes[path]
		if n == nil {
			return zk.ErrNoNode
		}
		if version >= 0 && version != n.stat.Aversion {
			return zk.ErrBadVersion
		}
		f.zxid++
		n.acl = acl
		n.stat.Aversion++
		*stat = n.stat
		return nil
	})
	return stat, err
}

func (f *fakeZK) Sync(path string) (string, error) {
	return path, f.call("sync", path, func() error { return nil })
}

// Multi tries the ops on a copy of the tree: watches fire for what was applied.
func (f *fakeZK) Multi(ops ...any) (answers []zk.MultiResponse, err error) {
	err = f.call("multi", "", func() error {
		saved := make(map[string]*fakeNode, len(f.nodes))
		for p, n := range f.nodes {
			c := *n
			saved[p] = &c
		}
		answers = make([]zk.MultiResponse, len(ops))
		for i, op := range ops {
			a := &answers[i]
			switch op := op.(type) {
			case *zk.CreateRequest:
				a.String, a.Error = f.create(op.Path, op.Data, op.Flags, op.Acl)
			case *zk.DeleteRequest:
				a.Error = f.delete(op.Path, op.Version)
			case *zk.SetDataRequest:
				var s zk.Stat
				s, a.Error = f.write(op.Path, op.Data, op.Version)
				a.Stat = &s
			case *zk.CheckVersionRequest:
				n := f.nodes[op.Path]
				switch {
				case n == nil:
					a.Error = zk.ErrNoNode
				case op.Version >= 0 && op.Version != n.stat.Version:
					a.Error = zk.ErrBadVersion
				}
			}
			if a.Error == nil {
				continue
			}
			f.nodes = saved
			for j := range answers {
				switch {
				case j < i:
					answers[j] = zk.MultiResponse{}
				case j > i:
					answers[j] = zk.MultiResponse{Error: errUnknown(-2)}
				}
			}
			return a.Error
		}
		return nil
	})
	if errors.Is(err, zk.ErrConnectionClosed) {
		return nil, err
	}
	return answers, err
}

// has tells whether a node whose path starts with prefix exists.
func (f *fakeZK) has(prefix string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.nodes {
		if strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return false
}
