// Package netproxy is a TCP proxy for tests. It stands between a client and a
// server and cuts the connection, holds what passes, or loses the server's
// answers after the server has acted on the requests: the one fault a real
// server cannot be asked to make.
//
// It reads the ZooKeeper protocol as far as the length of each frame, the kind
// of each request and the number that a reply answers. Everything else passes
// unread.
package netproxy
