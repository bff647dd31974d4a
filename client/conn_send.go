package client

import (
	"fmt"
	"runtime"
	"time"
)

// keepOut is the largest write buffer that is kept for later writes.
const keepOut = 2 * maxBatch

// write is the connection's writer: it takes all that is queued and writes it at
// once, again and again, until the connection is dead.
func (c *conn) write() {
	defer c.wg.Done()
	var batch []*call
	for {
		select {
		case <-c.dead:
			return
		case <-c.s.queue.wake:
		}
		// Callers that are about to add theirs get to do so: twice the
		// throughput of many goroutines, and a lone one loses nothing.
		runtime.Gosched()
		batch = c.s.queue.take(batch[:0], maxInFlight-c.flight.len())
		if len(batch) == 0 {
			continue
		}
		if err := c.send(batch); err != nil {
			c.fail(fmt.Errorf("write: %w", err))
			return
		}
		clear(batch)
	}
}

// send writes a batch. Its calls are in flight before the first byte is out, or
// the answer might be there before its call.
func (c *conn) send(batch []*call) error {
	now := time.Now()
	proof := c.frames.before(now)
	out := c.out[:0]
	for _, call := range batch {
		call.proof = proof
		call.stamp()
		out = append(out, call.buf...)
	}
	c.flight.add(batch)
	c.frames.sent(now)
	c.lastSent.Store(c.since())
	if err := c.nc.SetWriteDeadline(now.Add(c.silence())); err != nil {
		return err
	}
	_, err := c.nc.Write(out)
	if c.out = out; cap(out) > keepOut {
		c.out = nil
	}
	return err
}
