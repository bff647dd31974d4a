package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-go/conclave/cmd/conclave/internal/demo"
)

func newDemo() *cobra.Command {
	var (
		servers string
		timeout time.Duration
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Elect a leader, take locks, lose sessions, and check that nothing broke",
		Long: `The main job, with real sessions over real sockets, told as it happens:

  1. Five candidates elect a leader. The leader vanishes without warning and
     another takes over.
  2. Eight workers add to one value under a lock; no update may be lost.
  3. A lock holder is cut off. It must learn of its loss before anyone else gets
     the lock, and its late guarded write must be refused.

The server is started in this process unless --servers names an ensemble; all
nodes go below one new top node, which is removed at the end. The demo takes
about three times the session timeout and ends with a table of what was checked.`,
		Example: `  conclave demo
  conclave demo --servers zk1:2181,zk2:2181,zk3:2181
  conclave demo --json | jq 'select(.kind == "fact")'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout < 0 {
				return usageError{fmt.Errorf("--session-timeout %v is negative", timeout)}
			}
			report, err := demo.Run(cmd.Context(), demo.Config{
				Servers: servers, SessionTimeout: timeout, Out: cmd.OutOrStdout(), JSON: asJSON,
			})
			if err != nil {
				return err
			}
			if !report.OK() {
				return errors.New("not every fact holds")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&servers, "servers", "", "`host:port,…` of an ensemble; default is a server in this process")
	cmd.Flags().DurationVar(&timeout, "session-timeout", 0, "session timeout to ask for (default 3s in process, 4s otherwise)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "narrate in JSON, one object a line")
	return cmd
}
