package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// schemas are those of the provider, the resources and the data sources.
type schemas struct {
	provider        *tfprotov5.Schema
	resources, data map[string]*tfprotov5.Schema
}

type schemaFile struct {
	Version int64
	Block   blockFile
}

type blockFile struct {
	Attributes map[string]struct {
		Type                         json.RawMessage
		Required, Optional, Computed bool
	}
	BlockTypes map[string]struct {
		NestingMode string `json:"nesting_mode"`
		MinItems    int64  `json:"min_items"`
		MaxItems    int64  `json:"max_items"`
		Block       blockFile
	} `json:"block_types"`
}

var nestings = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
	"map":    tfprotov5.SchemaNestedBlockNestingModeMap,
}

// loadSchemas leaves out types that have no schema: the command line then says that there are none of that name.
func loadSchemas(folder, typesFile string) (schemas, error) {
	out := schemas{resources: map[string]*tfprotov5.Schema{}, data: map[string]*tfprotov5.Schema{}}
	types, err := os.ReadFile(typesFile)
	if err != nil {
		return out, err
	}
	if out.provider, err = loadSchema(filepath.Join(folder, "provider.json")); err != nil {
		return out, err
	}
	for _, typ := range strings.Fields(string(types)) {
		for kind, into := range map[string]map[string]*tfprotov5.Schema{"resource": out.resources, "data": out.data} {
			found, err := loadSchema(filepath.Join(folder, kind, typ+".json"))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return out, err
			}
			into[typ] = found
		}
	}
	return out, nil
}

func loadSchema(path string) (*tfprotov5.Schema, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var read schemaFile
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	block, err := read.Block.translate()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &tfprotov5.Schema{Version: read.Version, Block: block}, nil
}

func (b blockFile) translate() (*tfprotov5.SchemaBlock, error) {
	out := &tfprotov5.SchemaBlock{}
	for name, attribute := range b.Attributes {
		typ, err := tftypes.ParseJSONType(attribute.Type) //nolint:staticcheck // There is no other reader of this format.
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.Attributes = append(out.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: typ, Required: attribute.Required, Optional: attribute.Optional, Computed: attribute.Computed,
		})
	}
	for name, nested := range b.BlockTypes {
		inner, err := nested.Block.translate()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.BlockTypes = append(out.BlockTypes, &tfprotov5.SchemaNestedBlock{
			TypeName: name, Block: inner, Nesting: nestings[nested.NestingMode], MinItems: nested.MinItems, MaxItems: nested.MaxItems,
		})
	}
	slices.SortFunc(out.Attributes, func(a, b *tfprotov5.SchemaAttribute) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(out.BlockTypes, func(a, b *tfprotov5.SchemaNestedBlock) int { return strings.Compare(a.TypeName, b.TypeName) })
	return out, nil
}
