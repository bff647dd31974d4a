// Package recipes
package recipes
