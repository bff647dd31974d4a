package client

import (
	"context"
	"errors"

	"github.com/conclave-go/conclave/internal/proto"
	"github.com/conclave-go/conclave/keeper"
)

// ensureTries is how often EnsurePath begins anew when somebody removes
// ancestors at the same time.
const ensureTries = 5

// EnsurePath makes the node path and every ancestor that is missing, as
// persistent nodes without data and with the given ACL, or the default one. The
// nodes of the chroot are made too. That others make some of them at the same
// time is no error. A missing path costs two round trips, one that exists one.
func (c *Client) EnsurePath(ctx context.Context, path string, acl ...keeper.ACL) error {
	failed := func(err error) error { return &keeper.OpError{Op: "ensure path", Path: path, Err: err} }
	if err := keeper.ValidatePath(path); err != nil {
		return failed(err)
	}
	if err := keeper.ValidateACL(acl); err != nil {
		return failed(err)
	}
	s, err := c.session(ctx)
	if err != nil {
		return &keeper.OpError{Op: "ensure path", Path: path, Err: err, Outcome: keeper.NotApplied}
	}
	full := c.enc.FullPath(path)
	if full == "/" {
		return nil
	}
	// The chroot's own nodes lie outside of it.
	root := &proto.Encoding{DefaultACL: c.enc.DefaultACL}
	for range ensureTries {
		there := &keeper.Exists{Path: full}
		if err = s.do(ctx, root, there); err != nil || there.Found {
			break
		}
		var creates []keeper.Request
		for i := 1; i <= len(full); i++ {
			if i == len(full) || full[i] == '/' {
				creates = append(creates, &keeper.Create{Path: full[:i], ACL: acl})
			}
		}
		_ = s.do(ctx, root, creates...)
		if err = ensured(creates); !errors.Is(err, keeper.ErrNoNode) {
			break
		}
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// ensured finds the error that matters. Ancestors may be refused, where they
// exist and we have no right to make them, if only the last node is there.
func ensured(creates []keeper.Request) error {
	last := creates[len(creates)-1].Meta().Err
	if last == nil || errors.Is(last, keeper.ErrNodeExists) {
		return nil
	}
	for _, r := range creates {
		if err := r.Meta().Err; err != nil && !errors.Is(err, keeper.ErrNodeExists) {
			return err
		}
	}
	return last
}
