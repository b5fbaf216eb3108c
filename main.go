// Command metalora fine-tunes transformer encoders and runs the experiment that compares ways to retrain them.
package main

import (
	"os"

	"metalora/pipeline/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
