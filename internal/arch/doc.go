// Package arch holds no code, only tests of the repository's shape: which
// package may import which, what comes along with the packages that users
// import, that everything builds on other systems, and the house rules that no
// linter knows.
package arch
