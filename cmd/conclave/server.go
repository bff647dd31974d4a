package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/conclave-go/conclave/zkserver"
)

func newServer() *cobra.Command {
	var (
		addr    string
		tick    time.Duration
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a ZooKeeper server for development (keeps nothing, not for production)",
		Long: `An in-process ZooKeeper that speaks the real protocol, for development and tests
of programs in any language. It keeps everything in memory and forgets it when it
stops. Production is an Apache ZooKeeper ensemble.

It listens on loopback unless --addr says otherwise, and anyone who can connect
can do everything. SIGINT and SIGTERM stop it.`,
		Example: `  conclave server
  conclave server --addr 127.0.0.1:2182 --tick 500ms`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if tick <= 0 {
				return usageError{fmt.Errorf("--tick %v is not positive", tick)}
			}
			opts := zkserver.Options{Tick: tick, FourLetterWords: []string{"*"}}
			if verbose {
				opts.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelDebug}))
			}
			srv, err := zkserver.New(opts)
			if err != nil {
				return err
			}
			bound, err := srv.Listen(addr)
			if err != nil {
				return errors.Join(fmt.Errorf("listen on %s: %w", addr, err), srv.Close())
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "conclave server listens on %s\n", bound)
			fmt.Fprintln(out, "For development and tests: it keeps nothing and is not for production.")
			<-cmd.Context().Done()
			fmt.Fprintln(out, "stopping")
			return srv.Close()
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:2181", "`host:port` to listen on")
	cmd.Flags().DurationVar(&tick, "tick", 2*time.Second, "tick; session timeouts are kept between 2 and 20 of it")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log to standard error what the server does")
	return cmd
}
