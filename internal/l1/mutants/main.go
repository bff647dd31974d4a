package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	only := flag.String("run", "", "try only mutants whose names match this regular expression")
	flag.Parse()
	if err := run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(only string) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join("internal", "l1", "testdata", "mutants.txt"))
	if err != nil {
		return fmt.Errorf("run it at the top of the repository: %w", err)
	}
	mutants, err := parse(string(text))
	if err != nil {
		return err
	}
	tree, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tree) }()
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := copyTree(root); err != nil {
		return err
	}
	if killer, out := test(tree); killer != "" {
		return fmt.Errorf("the tests fail as things are, at %s:\n%s", killer, out)
	}
	survived := 0
	for _, m := range mutants {
		if !match.MatchString(m.name) {
			continue
		}
		begin := time.Now()
		killer, err := try(root, m)
		verdict := "killed by " + killer
		switch {
		case err != nil:
			verdict = "NOT TRIED: " + err.Error()
			survived++
		case killer == "":
			verdict = "SURVIVED"
			survived++
		}
		fmt.Fprintf(os.Stdout, "%-28s %-24s %4.1fs  %s\n", m.name, m.file, time.Since(begin).Seconds(), verdict)
	}
	if survived > 0 {
		return fmt.Errorf("%d mutants were not killed", survived)
	}
	return nil
}

// copyTree copies the sources of the module, which is the working directory.
func copyTree(to *os.Root) error {
	module := os.DirFS(".")
	return fs.WalkDir(module, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == ".":
			return nil
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || path == "bin"):
			return fs.SkipDir
		case d.IsDir():
			return to.Mkdir(path, 0o700)
		case !strings.HasSuffix(path, ".go") && path != "go.mod" && path != "go.sum":
			return nil
		}
		text, err := fs.ReadFile(module, path)
		if err != nil {
			return err
		}
		return to.WriteFile(path, text, 0o600)
	})
}

// try applies a mutant, tests, and takes it back.
func try(tree *os.Root, m mutant) (killer string, err error) {
	text, err := tree.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return "", fmt.Errorf("what it changes stands %d times in %s", n, m.file)
	}
	changed := strings.Replace(string(text), m.old, m.new, 1)
	defer func() { err = errors.Join(err, tree.WriteFile(m.file, text, 0o600)) }()
	if err := tree.WriteFile(m.file, []byte(changed), 0o600); err != nil {
		return "", err
	}
	if out, err := command(tree.Name(), "build", "./internal/l1/...").CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not compile: %w\n%s", err, out)
	}
	killer, _ = test(tree.Name())
	return killer, nil
}

// test runs the tests and returns the innermost test of the first that failed,
// or "" if none did. A play that hangs for ever is reported by the bubble it runs
// in, or by the timeout.
func test(tree string) (killer, out string) {
	raw, err := command(tree, "test", "-count=1", "-failfast", "-timeout=60s", "./internal/l1").CombinedOutput()
	if err == nil {
		return "", ""
	}
	failed := regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (.*)`)
	for _, hit := range failed.FindAllStringSubmatch(string(raw), -1) {
		name := hit[1] + hit[2]
		if killer != "" && !strings.HasPrefix(name, killer+"/") {
			break
		}
		killer = name
	}
	if killer == "" {
		killer = "something else"
	}
	return killer, string(raw)
}

func command(tree string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "go", args...) //nolint:gosec // our own words
	cmd.Dir = tree
	return cmd
}
