// Command hostile writes the corpus of files that are to be refused into the packages' testdata/hostile. The same rows tell
// the test beside it how each file is read, with which exit code it is refused, and why.
//
//	go run ./pipeline/cli/hostile        from the repository's root; equal runs write equal files
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// attack is a file that a stranger made, and what has to become of it.
type attack struct {
	room string // the package whose testdata/hostile has the file
	name string // of the file there, unique in its room
	data []byte

	verb    []string // of the command that reads it; PATH stands for the file, or the folder it is put into
	base    string   // a good folder, from the root, whose place the file takes in a copy; "": the file stands alone
	as      string   // the file's name in the folder
	without []string // what the copy lacks

	code int
	want string // part of the message
	says string // the file that the message names; "": the attack's
}

// corpus is every attack that has a file.
func corpus(root string) ([]attack, error) {
	base, err := readBase(root)
	if err != nil {
		return nil, err
	}
	return slices.Concat(headers(), configs(), indexes(), weights(base), adapterConfigs(), adapterWeights(), graphs(), nodes(),
		vocabularies(), tokenizers(), dialogues(), personas(), settings(), manifests()), nil
}

// path is where an attack's file lies below the root.
func (a attack) path() string {
	return filepath.Join(filepath.FromSlash(a.room), "testdata", "hostile", a.name)
}

func write(root string) error {
	all, err := corpus(root)
	if err != nil {
		return err
	}
	for _, a := range all {
		path := filepath.Join(root, a.path())
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, a.data, 0o666); err != nil {
			return err
		}
	}
	fmt.Println(len(all), "files")
	return nil
}

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
