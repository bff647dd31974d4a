package zkreal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// waitReady returns when the server serves. It fails with errPortTaken if the
// process ended because it could not bind, and with the end of its log when it
// ended for another reason or took too long.
func (s *Server) waitReady(ctx context.Context, proc *process) error {
	const pause = 20 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	why := error(nil)
	for {
		select {
		case <-proc.exited:
			log := s.logTail()
			if strings.Contains(log, "BindException") {
				return fmt.Errorf("%w: %s", errPortTaken, s.Addr())
			}
			return fmt.Errorf("ZooKeeper ended before it served; the end of its log:\n%s", log)
		case <-ctx.Done():
			return fmt.Errorf("ZooKeeper does not serve after %v (%w); the end of its log:\n%s", startLimit, why, s.logTail())
		case <-ticker.C:
		}
		if why = s.ready(ctx); why == nil {
			return nil
		}
	}
}

// ready is nil when the server on the port is ours, names its mode, and a
// session opens and closes. An open port is not enough: ZooKeeper listens
// before it serves.
func (s *Server) ready(ctx context.Context) error {
	// Another test's server may have got the port before ours.
	conf, err := ask(ctx, s.Addr(), "conf")
	if err != nil {
		return err
	}
	if !strings.Contains(conf, "dataDir="+filepath.ToSlash(s.dataDir())) {
		return fmt.Errorf("the server on %s is not ours, or not yet serving", s.Addr())
	}
	srvr, err := ask(ctx, s.Addr(), "srvr")
	if err != nil {
		return err
	}
	if !strings.Contains(srvr, "\nMode: ") {
		return fmt.Errorf("srvr on %s names no mode", s.Addr())
	}
	return openAndClose(ctx, s.Addr())
}

// ask sends one four-letter word on a connection of its own.
func ask(ctx context.Context, addr, word string) (string, error) {
	conn, err := dial(ctx, addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, word); err != nil {
		return "", fmt.Errorf("%s to %s: %w", word, addr, err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("answer to %s from %s: %w", word, addr, err)
	}
	return string(answer), nil
}

// dial connects for one short exchange: the connection has a deadline.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	return conn, nil
}

// logTail returns the last lines of what the server wrote.
func (s *Server) logTail() string {
	const most = 4 << 10
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-most):]))
}
