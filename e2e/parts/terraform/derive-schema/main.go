// Derives the schemas of the AWS provider from its generated bindings: `derive-schema WHEEL FOLDER` reads the wheel of cdktn-provider-aws
// and writes `provider.json`, `resource/TYPE.json` and `data/TYPE.json`, each a schema as `providers schema -json` prints it, and
// `version`, the provider's.
// Touches no network.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: derive-schema WHEEL FOLDER")
	}
	if err := derive(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func derive(wheel, folder string) error {
	count := 0
	version, err := eachModule(wheel, func(name, source string) error {
		found, err := schemaOf(parse(source))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, one := range found {
			count++
			if err := write(filepath.Join(folder, one.file()), one.schema); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if count < 1000 {
		return fmt.Errorf("%s holds only %d types: it is not what it was thought to be", wheel, count)
	}
	return os.WriteFile(filepath.Join(folder, "version"), []byte(version+"\n"), 0o644)
}

func write(path string, what schema) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
