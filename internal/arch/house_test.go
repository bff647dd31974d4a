package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// source is one parsed Go file of the repository.
type source struct {
	path string // from the root, with slashes
	file *ast.File
	fset *token.FileSet
	size int // lines
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// at says where a node stands.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// files calls f for every file that belongs to the repository.
func files(t *testing.T, f func(path string, text []byte)) {
	t.Helper()
	top := root(t)
	require.NoError(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		switch name {
		case ".git", ".cache", "bin": // not ours, or made by make
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			f(filepath.ToSlash(name), text)
		}
		return err
	}))
}

// sources parses every Go file.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	files(t, func(path string, text []byte) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		require.NoError(t, err)
		all = append(all, source{path: path, file: file, fset: fset, size: bytes.Count(text, []byte{'\n'})})
	})
	require.NotEmpty(t, all)
	return all
}

// calls lists the calls x.name(…) under a node, for each x and name given.
func calls(under ast.Node, xs, names []string) []ast.Node {
	var found []ast.Node
	ast.Inspect(under, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(xs, x.Name) && slices.Contains(names, sel.Sel.Name) {
			found = append(found, n)
		}
		return true
	})
	return found
}

// testParams lists the names of a function's parameters, and of those of the
// functions in it, that are a *testing.T or one of its kin.
func testParams(fn *ast.FuncDecl) []string {
	var names []string
	ast.Inspect(fn, func(n ast.Node) bool {
		ft, ok := n.(*ast.FuncType)
		if !ok {
			return true
		}
		for _, field := range ft.Params.List {
			typ := field.Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			sel, ok := typ.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"T", "B", "F", "TB"}, sel.Sel.Name) {
				continue
			}
			for _, name := range field.Names {
				names = append(names, name.Name)
			}
		}
		return true
	})
	return names
}

// Tests wait for what they wait for: a channel, a condition, virtual time.
func TestTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		if !s.isTest() {
			continue
		}
		for _, n := range calls(s.file, []string{"time"}, []string{"Sleep"}) {
			assert.Fail(t, "time.Sleep in a test", s.at(n))
		}
	}
}

// A test that cannot run fails. One that was not asked for returns.
func TestTestsDoNotSkip(t *testing.T) {
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			for _, n := range calls(fn, testParams(fn), []string{"Skip", "Skipf", "SkipNow"}) {
				assert.Fail(t, "a test that skips", s.at(n))
			}
		}
		for _, n := range calls(s.file, []string{"testing"}, []string{"Short"}) {
			assert.Fail(t, "a test that does less when it is short", s.at(n))
		}
	}
}

func TestFilesAreOneIdeaLong(t *testing.T) {
	const most = 450
	for _, s := range sources(t) {
		if !s.isTest() {
			assert.LessOrEqual(t, s.size, most, "lines of %s", s.path)
		}
	}
}

// noExample lists the packages that cannot have an example, with the reason.
func noExample() map[string]string {
	return map[string]string{
		"internal/arch":    "has no API",
		"internal/l1":      "needs a *testing.T, which examples have not",
		"internal/testenv": "needs a *testing.T, which examples have not",
	}
}

// Each package says in doc.go what it is, and shows it in an example that runs.
func TestPackagesHaveADocAndAnExample(t *testing.T) {
	folders := map[string][]source{}
	for _, s := range sources(t) {
		folder := filepath.ToSlash(filepath.Dir(s.path))
		folders[folder] = append(folders[folder], s)
	}
	for folder, in := range folders {
		documented, example, program := false, false, false
		var tests []*ast.File
		for _, s := range in {
			if filepath.Base(s.path) == "doc.go" {
				documented = s.file.Doc.Text() != ""
			}
			if s.isTest() {
				tests = append(tests, s.file)
			} else if s.file.Name.Name == "main" {
				program = true
			}
		}
		for _, e := range doc.Examples(tests...) {
			example = example || e.Output != ""
		}
		assert.True(t, documented, "%s has no doc.go with a package comment", folder)
		if _, cannot := noExample()[folder]; !cannot && !program {
			assert.True(t, example, "%s has no Example with an // Output: comment", folder)
		}
	}
}

// The repository is about the project, wherever it is checked out and whatever
// its modules come from.
func TestNoMachineInTheRepository(t *testing.T) {
	// Written so that this file does not match itself.
	machine := regexp.MustCompile(`(^|[^\w.])/(work|root|home|Users)/\w` +
		`|(proxy|sum)[.]golang[.]org|goproxy[.](io|cn)|deb[.]debian[.]org|registry[.]npmjs|pypi[.]org` +
		`|(docker|quay|ghcr|gcr)[.]io\b|artifac[t]ory|\b(mirror|proxy|registry|nexus)[.][\w-]+[.](com|net|org|io|internal|local)`)
	files(t, func(path string, text []byte) {
		for i, line := range strings.Split(string(text), "\n") {
			if hit := machine.FindString(line); hit != "" {
				assert.Fail(t, "the repository names a machine or a registry", "%s:%d: %q", path, i+1, hit)
			}
		}
	})
}
