package zkserver

import (
	"slices"
	"strings"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Handlers of the reads. Real servers check the existence of the node, then
// READ, and nothing else: not even the form of the path.

// readable finds the node of a read.
func (q *query) readable(path string, perm keeper.Perm) (*node, keeper.Code) {
	n := q.s.tree.get(path)
	switch {
	case n == nil:
		return nil, keeper.ErrNoNode
	case !allowed(n.acl, perm, q.c.ids):
		return nil, keeper.ErrNoAuth
	}
	return n, keeper.OK
}

func exists(q *query, r *proto.ExistsRequest) (proto.Record, keeper.Code) {
	if strings.IndexByte(r.Path, 0) >= 0 {
		return nil, keeper.ErrBadArguments
	}
	if r.Watch {
		q.watch(q.s.data, r.Path, oneShot) // also when there is no node
	}
	n := q.s.tree.get(r.Path)
	if n == nil {
		return nil, keeper.ErrNoNode
	}
	return &proto.ExistsResponse{Stat: n.stat()}, keeper.OK
}

func getData(q *query, r *proto.GetDataRequest) (proto.Record, keeper.Code) {
	n, code := q.readable(r.Path, keeper.PermRead)
	if code != keeper.OK {
		return nil, code
	}
	if r.Watch {
		q.watch(q.s.data, r.Path, oneShot)
	}
	return &proto.GetDataResponse{Data: n.data, Stat: n.stat()}, keeper.OK
}

func getACL(q *query, r *proto.GetACLRequest) (proto.Record, keeper.Code) {
	n, code := q.readable(r.Path, keeper.PermRead|keeper.PermAdmin)
	if code != keeper.OK {
		return nil, code
	}
	acl := n.acl
	if !allowed(n.acl, keeper.PermAdmin, q.c.ids) {
		acl = maskACL(acl)
	}
	return &proto.GetACLResponse{ACL: acl, Stat: n.stat()}, keeper.OK
}

func getChildren(q *query, r *proto.GetChildrenRequest) (proto.Record, keeper.Code) {
	names, _, code := q.children(r)
	return &proto.GetChildrenResponse{Children: names}, code
}

func getChildren2(q *query, r *proto.GetChildrenRequest) (proto.Record, keeper.Code) {
	names, stat, code := q.children(r)
	return &proto.GetChildren2Response{Children: names, Stat: stat}, code
}

// children lists in the order of a Go map, which is none: clients must not rely
// on any.
func (q *query) children(r *proto.GetChildrenRequest) ([]string, keeper.Stat, keeper.Code) {
	n, code := q.readable(r.Path, keeper.PermRead)
	if code != keeper.OK {
		return nil, keeper.Stat{}, code
	}
	if r.Watch {
		q.watch(q.s.child, r.Path, oneShot)
	}
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	return names, n.stat(), keeper.OK
}

func countDescendants(q *query, r *proto.GetAllChildrenNumberRequest) (proto.Record, keeper.Code) {
	if _, code := q.readable(r.Path, keeper.PermRead); code != keeper.OK {
		return nil, code
	}
	n := q.s.tree.descendants(r.Path)
	return &proto.GetAllChildrenNumberResponse{TotalNumber: int32(n)}, keeper.OK
}

// getEphemerals lists the session's own nodes below a prefix of the string.
func getEphemerals(q *query, r *proto.GetEphemeralsRequest) (proto.Record, keeper.Code) {
	paths := []string{}
	for path := range q.s.tree.ephemerals[q.c.session.id] {
		if strings.HasPrefix(path, r.PrefixPath) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return &proto.GetEphemeralsResponse{Ephemerals: paths}, keeper.OK
}

// syncPath has nothing to wait for: there is one server.
func syncPath(_ *query, r *proto.SyncRequest) (proto.Record, keeper.Code) {
	return &proto.SyncResponse{Path: r.Path}, keeper.OK
}
