package zkserver

import (
	"math"
	"time"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// Handlers of the writes. The record is theirs: decoding has copied it.

func create(tx *txn, r *proto.CreateRequest) (proto.Record, keeper.Code) {
	path, _, code := createPlain(tx, r, false)
	return &proto.CreateResponse{Path: path}, code
}

func create2(tx *txn, r *proto.CreateRequest) (proto.Record, keeper.Code) {
	return created(createPlain(tx, r, false))
}

func createContainer(tx *txn, r *proto.CreateRequest) (proto.Record, keeper.Code) {
	return created(createPlain(tx, r, true))
}

func created(path string, n *node, code keeper.Code) (proto.Record, keeper.Code) {
	if code != keeper.OK {
		return nil, code
	}
	return &proto.Create2Response{Path: path, Stat: n.stat()}, keeper.OK
}

// createPlain makes the nodes that have no TTL. Outside a multi the opcode
// alone says whether it is a container: the flag for it makes a persistent node.
func createPlain(tx *txn, r *proto.CreateRequest, container bool) (string, *node, keeper.Code) {
	mode := keeper.Mode(r.Flags)
	switch {
	case !validMode(mode):
		return "", nil, keeper.ErrBadArguments
	case mode.HasTTL() && !tx.ttlNodes:
		return "", nil, keeper.ErrUnimplemented
	case mode.HasTTL():
		return "", nil, keeper.ErrBadArguments
	}
	return tx.create(newNode{
		path: r.Path, data: r.Data, acl: r.ACL,
		ephemeral:  mode.IsEphemeral() && !container,
		sequential: mode.IsSequential(),
		container:  container,
	})
}

// createTTL makes the nodes that have a TTL.
func createTTL(tx *txn, r *proto.CreateTTLRequest) (string, *node, keeper.Code) {
	mode, ttl := keeper.Mode(r.Flags), time.Duration(r.TTL)*time.Millisecond
	switch {
	case !mode.HasTTL():
		// Outside a multi, a plain flag with a TTL of -1 ruins a real server.
		return "", nil, keeper.ErrBadArguments
	case !tx.ttlNodes:
		return "", nil, keeper.ErrUnimplemented
	case r.TTL < 1 || r.TTL > math.MaxInt64/int64(time.Millisecond) || ttl > keeper.MaxTTL:
		return "", nil, keeper.ErrBadArguments
	}
	return tx.create(newNode{path: r.Path, data: r.Data, acl: r.ACL, sequential: mode.IsSequential(), ttl: ttl})
}

func serveCreateTTL(q *query) {
	q.transact(func(tx *txn) (proto.Record, keeper.Code) {
		return created(createTTL(tx, record[*proto.CreateTTLRequest](q)))
	})
}

func validMode(m keeper.Mode) bool {
	return m >= keeper.Persistent && m <= keeper.PersistentSequentialTTL
}

func remove(tx *txn, r *proto.DeleteRequest) (proto.Record, keeper.Code) {
	return nil, tx.delete(r.Path, r.Version)
}

func setData(tx *txn, r *proto.SetDataRequest) (proto.Record, keeper.Code) {
	n, code := tx.setData(r.Path, r.Data, r.Version)
	if code != keeper.OK {
		return nil, code
	}
	return &proto.SetDataResponse{Stat: n.stat()}, keeper.OK
}

func setACL(tx *txn, r *proto.SetACLRequest) (proto.Record, keeper.Code) {
	n, code := tx.setACL(r.Path, r.ACL, r.Version)
	if code != keeper.OK {
		return nil, code
	}
	return &proto.SetACLResponse{Stat: n.stat()}, keeper.OK
}
