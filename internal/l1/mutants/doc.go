// Command mutants seeds defects: it copies the tree, makes one change of
// internal/l1/testdata/mutants.txt at a time, and requires that the tests of
// internal/l1 fail. A defect that survives is a hole in those tests.
//
//	go run ./internal/l1/mutants [-run regexp]
package main
