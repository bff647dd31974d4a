package gozk

import (
	"context"
	"errors"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// multi runs m and fills the results of its ops; it returns what became of the
// whole.
func (s *session) multi(m *keeper.Multi) (err, raw error) {
	// The hold behind a guard may have ended while the call waited for the link.
	if err := keeper.Admit(context.Background(), s.id, m); err != nil {
		return err, nil
	}
	answers, raw := s.c.zk.Multi(s.c.toOps(m.Ops)...)
	if raw == nil {
		return multiDone(m, answers), nil
	}
	f := translate(raw)
	culprit := -1
	for i, a := range answers {
		if a.Error != nil {
			culprit = i
			break
		}
	}
	if culprit < 0 && errors.Is(raw, zk.ErrAPIError) {
		// Not a code: go-zookeeper met a kind of result it does not know.
		f = failure{keeper.ErrUndecodable, keeper.Unknown}
	}
	err = f.opError(m)
	for i, op := range m.Ops {
		switch {
		case culprit < 0 || len(answers) != len(m.Ops):
			op.Meta().Err = err
		case i == culprit:
			op.Meta().Err = f.opError(op)
		default:
			// The wire says "ok" of the ops before the culprit.
			op.Meta().Err = failure{cause: keeper.ErrRuntimeInconsistency}.opError(op)
		}
	}
	return err, raw
}

// multiDone fills the results of a Multi that was applied.
func multiDone(m *keeper.Multi, answers []zk.MultiResponse) error {
	bad := len(answers) != len(m.Ops)
	for i, op := range m.Ops {
		if bad {
			break
		}
		switch op := op.(type) {
		case *keeper.Create:
			op.Created = answers[i].String
			bad = !strings.HasPrefix(op.Created, op.Path)
		case *keeper.Set:
			op.Stat = fromStat(answers[i].Stat)
		}
	}
	if !bad {
		return nil
	}
	err := failure{keeper.ErrUndecodable, keeper.Applied}.opError(m)
	for _, op := range m.Ops {
		op.Meta().Err = err
	}
	return err
}

func (c *Conn) toOps(ops []keeper.Op) []any {
	out := make([]any, len(ops))
	for i, op := range ops {
		switch op := op.(type) {
		case *keeper.Create:
			out[i] = &zk.CreateRequest{Path: op.Path, Data: op.Data, Acl: c.toACL(op.ACL), Flags: int32(op.Mode)}
		case *keeper.Delete:
			out[i] = &zk.DeleteRequest{Path: op.Path, Version: op.Version}
		case *keeper.Set:
			out[i] = &zk.SetDataRequest{Path: op.Path, Data: op.Data, Version: op.Version}
		case *keeper.Check:
			out[i] = &zk.CheckVersionRequest{Path: op.Path, Version: op.Version}
		}
	}
	return out
}
