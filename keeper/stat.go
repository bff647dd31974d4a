package keeper

import "time"

// Stat describes a znode. Identity of a node is Czxid: it differs whenever a
// node was deleted and created again, and it grows for the ensemble's life.
type Stat struct {
	Czxid          int64 // zxid of the create
	Mzxid          int64 // zxid of the last set
	Ctime          int64 // server's wall clock at the create, ms; see Created
	Mtime          int64 // server's wall clock at the last set, ms; see Modified
	Version        int32 // number of sets
	Cversion       int32 // creates plus deletes of children
	Aversion       int32 // number of ACL changes
	EphemeralOwner int64 // session id, 0 for a node that is not ephemeral
	DataLength     int32
	NumChildren    int32
	Pzxid          int64 // zxid of the last create or delete of a child
}

// Created is Ctime as a time. It is the server's clock: never compare it with
// the local one.
func (s Stat) Created() time.Time { return time.UnixMilli(s.Ctime) }

// Modified is Mtime as a time, with the same warning.
func (s Stat) Modified() time.Time { return time.UnixMilli(s.Mtime) }
