package main

import (
	"os"
	"strings"

	"bcast/internal/show"
)

// takeWords returns the words of the command line. Those that hold a secret are taken out of the list of processes.
func takeWords() []string {
	words := make([]string, len(os.Args)-1)
	for i, word := range os.Args[1:] {
		words[i] = strings.Clone(word)
		if show.Secret(word) {
			hideArgument(i + 1)
		}
	}
	return words
}
