package recipes

import (
	"context"
	"errors"

	"github.com/conclave-go/conclave/keeper"
	"github.com/conclave-go/conclave/retry"
)

// EnsureDir makes the directory dir with the given ACL, and those of its
// ancestors that are missing with the connection's default ACL. It is no error
// that any of them exists, whatever its ACL, or is made by somebody else
// meanwhile. They are containers, which a server removes some time after the
// last child has gone, or persistent nodes where there are no containers
// (servers before 3.5, and what s does not support).
//
// A directory can therefore vanish at any time: whoever creates a node in it
// must be ready for keeper.ErrNoNode and call EnsureDir again. While ancestors
// vanish between two of its own requests, or the connection is lost, EnsureDir
// tries again until ctx ends. It costs two round trips, or one when nothing is
// missing.
func EnsureDir(ctx context.Context, s keeper.Session, dir string, acl []keeper.ACL) error {
	if err := keeper.ValidatePath(dir); err != nil {
		return err
	}
	if err := keeper.ValidateACL(acl); err != nil {
		return err
	}
	again := retry.Policy{If: func(err error) bool {
		return errors.Is(err, errVanished) || retry.Idempotent(err)
	}}
	return retry.Do(ctx, again, func(ctx context.Context) error { return ensureDir(ctx, s, dir, acl) })
}

// errVanished: an ancestor that was there or was made is gone again.
var errVanished = errors.New("an ancestor vanished meanwhile")

// ensureDir looks before it creates: a server checks the permission to create
// before it says that a node exists, so a blind create under an ancestor that
// is not ours to write to would fail.
func ensureDir(ctx context.Context, s keeper.Session, dir string, acl []keeper.ACL) error {
	if dir == "/" {
		return nil
	}
	var (
		looks []*keeper.Exists
		reqs  []keeper.Request
	)
	for end := 1; end <= len(dir); end++ {
		if end == len(dir) || dir[end] == '/' {
			look := &keeper.Exists{Path: dir[:end]}
			looks, reqs = append(looks, look), append(reqs, look)
		}
	}
	if err := s.Do(ctx, reqs...); err != nil {
		return err
	}
	if s.Supports(keeper.FeatureContainer) {
		err := createMissing(ctx, s, looks, dir, keeper.Container, acl)
		if !errors.Is(err, keeper.ErrUnimplemented) {
			return err
		}
	}
	return createMissing(ctx, s, looks, dir, keeper.Persistent, acl)
}

// createMissing makes what the looks have not found, from the top down.
func createMissing(ctx context.Context, s keeper.Session, looks []*keeper.Exists, dir string, mode keeper.Mode, acl []keeper.ACL) error {
	var creates []keeper.Request
	for _, look := range looks {
		if !look.Found {
			create := &keeper.Create{Path: look.Path, Mode: mode}
			if look.Path == dir {
				create.ACL = acl
			}
			creates = append(creates, create)
		}
	}
	if len(creates) == 0 {
		return nil
	}
	_ = s.Do(ctx, creates...) // each create is asked for its own answer
	for _, create := range creates {
		err := create.Meta().Err
		switch {
		case err == nil, errors.Is(err, keeper.ErrNodeExists):
		case errors.Is(err, keeper.ErrNoNode) && keeper.Parent(create.Target()) != "/":
			return errors.Join(errVanished, err)
		default: // also ErrNoNode at the top: the connection's chroot is missing
			return err
		}
	}
	return nil
}
