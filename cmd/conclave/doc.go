// Command conclave is the hands-on side of Conclave: a demo of the main job and
// a ZooKeeper server for development. Run "conclave help".
//
// Exit codes: 0 all well; 1 it failed, or a checked fact does not hold; 2 the
// command line is wrong.
package main
