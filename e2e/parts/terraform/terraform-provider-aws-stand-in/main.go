// A stand-in for the AWS provider: it serves the real one's schemas and keeps everything in the state alone, so what the command line
// itself judges (names, types, what is required, references, conditions) is judged, and what AWS would say is not.
// Reads schemas from the folder AWS_STAND_IN_SCHEMAS, those of the types that the file AWS_STAND_IN_TYPES names, one per line.
// Touches no network but the socket to the command line that started it.
package main

import (
	"log"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
)

func main() {
	log.SetFlags(0)
	all, err := loadSchemas(os.Getenv("AWS_STAND_IN_SCHEMAS"), os.Getenv("AWS_STAND_IN_TYPES"))
	if err != nil {
		log.Fatal(err)
	}
	go endWith(os.Getppid())
	standIn := &server{schemas: all}
	// The name is what a debugger would look for; the command line knows us by our place in the mirror.
	err = tf5server.Serve("medallion.dev/stand-in/aws", func() tfprotov5.ProviderServer { return standIn })
	if err != nil {
		log.Fatal(err)
	}
}

// endWith ends us when the command line is gone without having said so: it was killed.
func endWith(parent int) {
	for os.Getppid() == parent {
		time.Sleep(time.Second)
	}
	os.Exit(1)
}
