package gozk

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/conclave-go/conclave/keeper"
)

// stray is an ephemeral node that may have been made in a session after the one
// it was meant for: go-zookeeper carries its queue over. Nobody else would ever
// remove it, because everybody counts on its end with the old session.
type stray struct {
	path   string // as the server said, or as asked for if its answer was lost
	known  bool   // the server said
	prefix bool   // path lacks the sequence number
	data   []byte
}

// straysOf lists what a request during which the session changed may have left
// behind, given what go-zookeeper said of it.
func straysOf(own keeper.Request, raw error) []stray {
	if refused(raw) {
		return nil
	}
	var ops []keeper.Op
	switch r := own.(type) {
	case *keeper.Create:
		ops = []keeper.Op{r}
	case *keeper.Multi:
		ops = r.Ops
	}
	var left []stray
	for _, op := range ops {
		c, ok := op.(*keeper.Create)
		if !ok || !c.Mode.IsEphemeral() {
			continue
		}
		if raw == nil && c.Created != "" {
			left = append(left, stray{path: c.Created, known: true})
		} else {
			left = append(left, stray{path: c.Path, prefix: c.Mode.IsSequential(), data: c.Data})
		}
	}
	return left
}

// removeStrays removes those that belong to session id, in which the *zk.Conn
// was when the request came back: in any other they are gone by themselves. The
// adapter does not give out that session before this is through.
func (c *Conn) removeStrays(left []stray, id int64) {
	if id == 0 {
		return
	}
	for _, st := range left {
		for c.zk.SessionID() == id {
			err := c.removeStray(st, id)
			if err == nil {
				break
			}
			if byServer(err) && !errors.Is(err, zk.ErrBadVersion) {
				c.cfg.logger.Error("node of an expired request stays until its session ends", "path", st.path, "error", err)
				break
			}
			if !c.sleep(c.quit, nil) {
				return
			}
		}
	}
}

// removeStray tries once.
func (c *Conn) removeStray(st stray, id int64) error {
	if !st.prefix {
		return c.removeOwned(st.path, st, id)
	}
	dir, base := keeper.Parent(st.path), keeper.Base(st.path)
	names, _, err := c.zk.Children(dir)
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		number, found := strings.CutPrefix(name, base)
		if !found || !isSequence(number) {
			continue
		}
		if err := c.removeOwned(keeper.Join(dir, name), st, id); err != nil {
			return err
		}
	}
	return nil
}

// removeOwned deletes the node if session id owns it and, where the name is no
// proof, it holds the data of the request.
func (c *Conn) removeOwned(path string, st stray, id int64) error {
	var (
		ours bool
		stat *zk.Stat
		err  error
	)
	if st.known {
		ours, stat, err = c.zk.Exists(path)
	} else {
		var data []byte
		data, stat, err = c.zk.Get(path)
		ours = bytes.Equal(data, st.data)
	}
	if err == nil && ours && stat.EphemeralOwner == id {
		if err = c.zk.Delete(path, stat.Version); err == nil {
			c.cfg.logger.Warn("removed a node that was made after its session had expired", "path", path)
		}
	}
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

// isSequence tells the number that a server appends: ten digits, or a sign and
// ten digits once the counter has overflowed.
func isSequence(s string) bool {
	s = strings.TrimPrefix(s, "-")
	if len(s) != 10 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
