package main

import (
	"context"
	"sync"
)

// inForce is what a file of the home has a daemon do, until it ends or the file is read again.
type inForce[T any] struct {
	mu   sync.Mutex
	list []T
	stop func()
}

// replace does what a list says instead of what is done now. do returns when its context has ended.
func (f *inForce[T]) replace(ctx context.Context, list []T, do func(context.Context)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.halt()
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { do(ctx) })
	f.list, f.stop = list, func() { cancel(); work.Wait() }
}

// now is what is done.
func (f *inForce[T]) now() []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list
}

// end returns when nothing of it is done any more.
func (f *inForce[T]) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.halt()
}

// halt wants f.mu held.
func (f *inForce[T]) halt() {
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
}
