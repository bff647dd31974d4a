package zkserver

import (
	"strings"
	"time"

	"github.com/conclave-go/conclave/keeper"
)

// node is one znode. What a Stat shows is derived by stat.
type node struct {
	data     []byte // nil is null; never changed in place, so replies may refer to it
	acl      []keeper.ACL
	children map[string]struct{} // last components; nil while there are none

	czxid, mzxid, pzxid int64
	ctime, mtime        int64 // wall clock, ms
	version, aversion   int32

	// creates counts the children ever created. It is what sequence numbers are
	// made of; the Cversion that clients see also counts the deletes.
	creates int32

	owner     int64 // session of an ephemeral node, else 0
	container bool
	ttl       time.Duration // of a TTL node, else 0
}

// stat is what clients see of the node.
func (n *node) stat() keeper.Stat {
	return keeper.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid,
		Ctime: n.ctime, Mtime: n.mtime,
		Version:        n.version,
		Cversion:       2*n.creates - int32(len(n.children)), // wraps, as on real servers
		Aversion:       n.aversion,
		EphemeralOwner: n.owner,
		DataLength:     int32(len(n.data)),
		NumChildren:    int32(len(n.children)),
	}
}

// expired tells whether the reaper of containers and TTL nodes may take the
// node at a wall clock of now ms. A container that never had a child stays.
func (n *node) expired(now int64) bool {
	if len(n.children) > 0 {
		return false
	}
	if n.container {
		return n.creates > 0
	}
	return n.ttl > 0 && now-n.mtime > n.ttl.Milliseconds()
}

// tree holds all nodes. It is owned by the server's pipeline lock. Everything
// that changes it is a txn.
type tree struct {
	nodes      map[string]*node
	ephemerals map[int64]map[string]struct{} // paths by session
	reapable   map[string]struct{}           // containers and TTL nodes
}

// specialPaths exist from the start and cannot be deleted.
func specialPath(path string) bool {
	switch path {
	case "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config":
		return true
	}
	return false
}

func newTree() *tree {
	t := &tree{
		nodes:      make(map[string]*node),
		ephemerals: make(map[int64]map[string]struct{}),
		reapable:   make(map[string]struct{}),
	}
	for _, path := range [...]string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
		n := &node{data: []byte{}, acl: keeper.OpenACL()}
		t.nodes[path] = n
		if path != "/" {
			t.link(path)
		}
	}
	config := t.nodes["/zookeeper/config"]
	config.acl, config.aversion = keeper.ReadACL(), -1
	return t
}

// get returns the node at path, or nil. The empty path is the root too, as it
// is on real servers.
func (t *tree) get(path string) *node {
	if path == "" {
		path = "/"
	}
	return t.nodes[path]
}

// link enters path in its parent's list of children.
func (t *tree) link(path string) {
	parent := t.nodes[keeper.Parent(path)]
	if parent.children == nil {
		parent.children = make(map[string]struct{})
	}
	parent.children[keeper.Base(path)] = struct{}{}
}

// unlink is the reverse of link.
func (t *tree) unlink(path string) {
	delete(t.nodes[keeper.Parent(path)].children, keeper.Base(path))
}

// add puts a new node into every index.
func (t *tree) add(path string, n *node) {
	t.nodes[path] = n
	t.link(path)
	if n.owner != 0 {
		own := t.ephemerals[n.owner]
		if own == nil {
			own = make(map[string]struct{})
			t.ephemerals[n.owner] = own
		}
		own[path] = struct{}{}
	}
	if n.container || n.ttl > 0 {
		t.reapable[path] = struct{}{}
	}
}

// remove is the reverse of add.
func (t *tree) remove(path string, n *node) {
	delete(t.nodes, path)
	t.unlink(path)
	if own := t.ephemerals[n.owner]; own != nil {
		delete(own, path)
		if len(own) == 0 {
			delete(t.ephemerals, n.owner)
		}
	}
	delete(t.reapable, path)
}

// descendants counts the nodes below path, the root's without itself.
func (t *tree) descendants(path string) int {
	if path == "/" {
		return len(t.nodes) - 1
	}
	count := 0
	for p := range t.nodes {
		if strings.HasPrefix(p, path+"/") {
			count++
		}
	}
	return count
}

// dataSize is the size of all paths and data, as the monitoring command shows it.
func (t *tree) dataSize() int {
	size := 0
	for path, n := range t.nodes {
		size += len(path) + len(n.data)
	}
	return size
}
