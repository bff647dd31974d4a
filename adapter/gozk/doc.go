// Package gozk is the contract of package keeper over a *zk.Conn of
// github.com/go-zookeeper/zk that a service already has.
package gozk
