package zkserver

import (
	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// serveMulti applies all ops or none, under one zxid.
func serveMulti(q *query) {
	ops := record[*proto.MultiRequest](q).Ops
	for _, op := range ops {
		if !multiWritable(op) {
			q.fail(keeper.ErrMarshalling)
			return
		}
	}
	q.transact(func(tx *txn) (proto.Record, keeper.Code) {
		results := make([]proto.MultiResult, len(ops))
		for i, op := range ops {
			res, code := multiOp(tx, op)
			if code != keeper.OK {
				tx.failed = code
				return failedMulti(len(ops), i, code), keeper.OK
			}
			results[i] = res
		}
		return &proto.MultiResponse{Results: results}, keeper.OK
	})
}

// multiWritable tells whether op may stand in a multi. The flags of a create
// choose what it makes, whatever its opcode; but a TTL flag needs the one
// request that has a TTL.
func multiWritable(op proto.MultiOp) bool {
	switch r := op.Record.(type) {
	case *proto.CreateRequest:
		return !keeper.Mode(r.Flags).HasTTL()
	case *proto.CreateTTLRequest, *proto.DeleteRequest, *proto.SetDataRequest, *proto.CheckVersionRequest:
		return true
	}
	return false
}

// failedMulti is the result of n ops of which the one at culprit failed.
func failedMulti(n, culprit int, code keeper.Code) proto.Record {
	results := make([]proto.MultiResult, n)
	for i := range results {
		results[i].Op = proto.OpError
		switch {
		case i == culprit:
			results[i].Err = code
		case i > culprit:
			results[i].Err = keeper.ErrRuntimeInconsistency
		}
	}
	return &proto.MultiResponse{Results: results}
}

func multiOp(tx *txn, op proto.MultiOp) (proto.MultiResult, keeper.Code) {
	switch r := op.Record.(type) {
	case *proto.CreateRequest:
		return multiCreate(tx, r)
	case *proto.CreateTTLRequest:
		if !keeper.Mode(r.Flags).HasTTL() {
			return multiCreate(tx, &proto.CreateRequest{Path: r.Path, Data: r.Data, ACL: r.ACL, Flags: r.Flags})
		}
		path, n, code := createTTL(tx, r)
		return multiCreated2(path, n, code)
	case *proto.DeleteRequest:
		return proto.MultiResult{Op: proto.OpDelete}, tx.delete(r.Path, r.Version)
	case *proto.SetDataRequest:
		n, code := tx.setData(r.Path, r.Data, r.Version)
		if code != keeper.OK {
			return proto.MultiResult{}, code
		}
		stat := n.stat()
		return proto.MultiResult{Op: proto.OpSetData, Stat: &stat}, keeper.OK
	case *proto.CheckVersionRequest:
		return proto.MultiResult{Op: proto.OpCheck}, tx.check(r.Path, r.Version)
	}
	return proto.MultiResult{}, keeper.ErrUnimplemented
}

// multiCreate answers with the path alone for everything but containers:
// servers before 3.8.2 send no Stat even for a create2.
func multiCreate(tx *txn, r *proto.CreateRequest) (proto.MultiResult, keeper.Code) {
	container := keeper.Mode(r.Flags) == keeper.Container
	path, n, code := createPlain(tx, r, container)
	if container {
		return multiCreated2(path, n, code)
	}
	return proto.MultiResult{Op: proto.OpCreate, Path: path}, code
}

func multiCreated2(path string, n *node, code keeper.Code) (proto.MultiResult, keeper.Code) {
	if code != keeper.OK {
		return proto.MultiResult{}, code
	}
	stat := n.stat()
	return proto.MultiResult{Op: proto.OpCreate2, Path: path, Stat: &stat}, keeper.OK
}

// maxMultiRead bounds the reply to a multiRead: a small request can ask for the
// same large node thousands of times.
const maxMultiRead = 64 << 20

// bodySize is about how long the result of a read in a multiRead is.
func bodySize(body proto.Record) int {
	switch r := body.(type) {
	case *proto.GetDataResponse:
		return len(r.Data)
	case *proto.GetChildrenResponse:
		size := 0
		for _, name := range r.Children {
			size += 4 + len(name)
		}
		return size
	}
	return 0
}

// serveMultiRead answers reads one by one; watch flags mean nothing in it.
func serveMultiRead(q *query) {
	ops := record[*proto.MultiRequest](q).Ops
	results := make([]proto.MultiReadResult, len(ops))
	bytes := 0
	for i, op := range ops {
		var body proto.Record
		var code keeper.Code
		switch r := op.Record.(type) {
		case *proto.GetDataRequest:
			body, code = getData(q, &proto.GetDataRequest{Path: r.Path})
		case *proto.GetChildrenRequest:
			body, code = getChildren(q, &proto.GetChildrenRequest{Path: r.Path})
		default:
			q.fail(keeper.ErrMarshalling)
			return
		}
		if bytes += bodySize(body); bytes > maxMultiRead {
			q.s.log.Warn("multiRead asks for too much", "from", q.c.remote)
			q.s.finish(q.c)
			return
		}
		results[i] = proto.MultiReadResult{Op: op.Op, Body: body}
		if code != keeper.OK {
			results[i] = proto.MultiReadResult{Op: proto.OpError, Err: code}
		}
	}
	q.answer(&proto.MultiReadResponse{Results: results}, keeper.OK)
}
