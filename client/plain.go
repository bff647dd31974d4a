package client

import (
	"context"

	"github.com/conclave-go/conclave/keeper"
)

// The plain methods below each do one request on the current session, waiting
// for one if there is none. Errors are *keeper.OpError; keeper.OutcomeOf tells
// whether a failed one was applied. Results are zero after an error.

// do sends requests on the current session.
func (c *Client) do(ctx context.Context, reqs ...keeper.Request) error {
	s, err := c.session(ctx)
	if err != nil {
		return &keeper.OpError{Op: reqs[0].Name(), Path: reqs[0].Target(), Err: err, Outcome: keeper.NotApplied}
	}
	return s.Do(ctx, reqs...)
}

// Create makes a node with the given ACL, or the default one, and returns its
// path, to which a sequential mode has added a number. For TTL nodes use a
// keeper.Create.
func (c *Client) Create(ctx context.Context, path string, data []byte, mode keeper.Mode, acl ...keeper.ACL) (string, error) {
	r := &keeper.Create{Path: path, Data: data, Mode: mode, ACL: acl}
	err := c.do(ctx, r)
	return r.Created, err
}

// Get reads a node.
func (c *Client) Get(ctx context.Context, path string) ([]byte, keeper.Stat, error) {
	r := &keeper.Get{Path: path}
	err := c.do(ctx, r)
	return r.Data, r.Stat, err
}

// GetW is Get with a watch that fires on the next change of data or the delete.
func (c *Client) GetW(ctx context.Context, path string) ([]byte, keeper.Stat, *keeper.Watch, error) {
	r := &keeper.Get{Path: path, Watch: true}
	err := c.do(ctx, r)
	return r.Data, r.Stat, r.Watched, err
}

// Set writes a node's data if it has that version, or any with
// keeper.AnyVersion.
func (c *Client) Set(ctx context.Context, path string, data []byte, version int32) (keeper.Stat, error) {
	r := &keeper.Set{Path: path, Data: data, Version: version}
	err := c.do(ctx, r)
	return r.Stat, err
}

// Delete removes a node without children if it has that version, or any with
// keeper.AnyVersion.
func (c *Client) Delete(ctx context.Context, path string, version int32) error {
	return c.do(ctx, &keeper.Delete{Path: path, Version: version})
}

// Exists looks for a node. That there is none is not an error.
func (c *Client) Exists(ctx context.Context, path string) (keeper.Stat, bool, error) {
	r := &keeper.Exists{Path: path}
	err := c.do(ctx, r)
	return r.Stat, r.Found, err
}

// ExistsW is Exists with a watch that fires on the next create, change of data,
// or delete.
func (c *Client) ExistsW(ctx context.Context, path string) (keeper.Stat, bool, *keeper.Watch, error) {
	r := &keeper.Exists{Path: path, Watch: true}
	err := c.do(ctx, r)
	return r.Stat, r.Found, r.Watched, err
}

// Children lists the names of a node's children, in no order.
func (c *Client) Children(ctx context.Context, path string) ([]string, keeper.Stat, error) {
	r := &keeper.Children{Path: path}
	err := c.do(ctx, r)
	return r.Names, r.Stat, err
}

// ChildrenW is Children with a watch that fires on the next create or delete of
// a child, or the node's delete.
func (c *Client) ChildrenW(ctx context.Context, path string) ([]string, keeper.Stat, *keeper.Watch, error) {
	r := &keeper.Children{Path: path, Watch: true}
	err := c.do(ctx, r)
	return r.Names, r.Stat, r.Watched, err
}

// GetACL reads a node's access control list. Digests come masked unless the
// session has the ADMIN permission.
func (c *Client) GetACL(ctx context.Context, path string) ([]keeper.ACL, keeper.Stat, error) {
	r := &keeper.GetACL{Path: path}
	err := c.do(ctx, r)
	return r.ACL, r.Stat, err
}

// SetACL replaces a node's access control list, by the default one if acl is
// nil, if the node's Aversion is version, or any with keeper.AnyVersion.
func (c *Client) SetACL(ctx context.Context, path string, acl []keeper.ACL, version int32) (keeper.Stat, error) {
	r := &keeper.SetACL{Path: path, ACL: acl, Version: version}
	err := c.do(ctx, r)
	return r.Stat, err
}

// Sync brings the server up to the leader's state of the moment, so that reads
// after it are no older.
func (c *Client) Sync(ctx context.Context, path string) error {
	return c.do(ctx, &keeper.Sync{Path: path})
}

// Multi applies all ops or none. Each op has its own result.
func (c *Client) Multi(ctx context.Context, ops ...keeper.Op) error {
	return c.do(ctx, &keeper.Multi{Ops: ops})
}
