// Package demo is the main job of Conclave as a story that checks itself: an
// election, the death of a leader, workers under a lock, and a holder that is
// cut off from its servers and writes too late. It runs with real sessions over
// real sockets, on an in-process server or on an ensemble.
//
// A program that dies or loses its network is played by a severed link: the
// client's packets vanish, nobody tells either side, and the servers expire the
// session in their own time.
package demo
