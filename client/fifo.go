package client

// fifo is a queue in one slice. Its owner says who may touch it.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) push(v T) {
	if f.head > 0 && len(f.items) == cap(f.items) {
		// Reuse the room in front rather than grow for ever.
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

// at returns the i-th item from the front.
func (f *fifo[T]) at(i int) T { return f.items[f.head+i] }

// pop takes the first item; there must be one.
func (f *fifo[T]) pop() T { return f.remove(0) }

// remove takes the i-th item from the front.
func (f *fifo[T]) remove(i int) T {
	var zero T
	v := f.items[f.head+i]
	if i == 0 {
		f.items[f.head] = zero
		f.head++
	} else {
		copy(f.items[f.head+i:], f.items[f.head+i+1:])
		f.items[len(f.items)-1] = zero
		f.items = f.items[:len(f.items)-1]
	}
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return v
}

// drain takes everything.
func (f *fifo[T]) drain() []T {
	all := f.items[f.head:]
	f.items, f.head = nil, 0
	return all
}
