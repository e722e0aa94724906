package main

import (
	"fmt"
	"strings"
)

// schema, block, attribute and nested have the names that `providers schema -json` uses.
type schema struct {
	Version int   `json:"version"`
	Block   block `json:"block"`
}

type block struct {
	Attributes map[string]attribute `json:"attributes,omitempty"`
	BlockTypes map[string]nested    `json:"block_types,omitempty"`
}

type attribute struct {
	Type     any  `json:"type"`
	Required bool `json:"required,omitempty"`
	Optional bool `json:"optional,omitempty"`
	Computed bool `json:"computed,omitempty"`
}

type nested struct {
	NestingMode string `json:"nesting_mode"`
	MinItems    int    `json:"min_items,omitempty"`
	MaxItems    int    `json:"max_items,omitempty"`
	Block       block  `json:"block"`
}

// derived is a schema and whose it is.
type derived struct {
	base, typ string
	schema    schema
}

func (d derived) file() string {
	switch d.base {
	case "TerraformProvider":
		return "provider.json"
	case "TerraformDataSource":
		return "data/" + d.typ + ".json"
	default:
		return "resource/" + d.typ + ".json"
	}
}

// Deeper than this only those types go that contain themselves (web ACLs); they are cut off there.
const deepest = 12

func schemaOf(source module) ([]derived, error) {
	var out []derived
	for name, class := range source.classes {
		switch class.base {
		case "TerraformProvider", "TerraformDataSource", "TerraformResource":
			body, err := source.block(class, class.shapes, 0)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, derived{class.base, class.typ, schema{Block: body}})
		}
	}
	return out, nil
}

func (m module) block(of *class, shapes map[string]shape, depth int) (block, error) {
	out := block{Attributes: map[string]attribute{}, BlockTypes: map[string]nested{}}
	for _, member := range of.members {
		written, settable := shapes[member.name]
		if settable && written.block {
			inner, err := m.nested(member, written, depth)
			if err != nil {
				return out, fmt.Errorf("%s: %w", member.name, err)
			}
			out.BlockTypes[member.name] = inner
			continue
		}
		var typ any
		var err error
		if settable {
			typ = writtenType(written)
		}
		if typ == nil {
			typ, err = m.readType(member)
		}
		if err != nil {
			return out, fmt.Errorf("%s: %w", member.name, err)
		}
		out.Attributes[member.name] = attribute{typ, member.required, member.optional, member.computed}
	}
	return out, nil
}

func (m module) nested(of member, written shape, depth int) (nested, error) {
	mode := written.kind
	if mode == "struct" {
		mode = "single"
	}
	out := nested{NestingMode: mode}
	if of.required && mode != "single" {
		out.MinItems = 1
	}
	if depth == deepest {
		return out, nil
	}
	var err error
	name, _ := reference(of.getter)
	class := m.classes[name]
	if class == nil {
		// The provider's own blocks have no classes: what is known of them is how their arguments are written.
		out.Block.Attributes = map[string]attribute{}
		for name, written := range m.shapes[shapesName(written.contents)] {
			typ := writtenType(written)
			if typ == nil {
				return out, fmt.Errorf("%s has no type", name)
			}
			out.Block.Attributes[name] = attribute{Type: typ, Optional: true}
		}
		return out, nil
	}
	if class.base == "ComplexObject" {
		if mode != "single" {
			out.MaxItems = 1
		}
	} else {
		name, class = class.element, m.classes[class.element]
	}
	out.Block, err = m.block(class, m.shapes[shapesName(name)], depth+1)
	return out, err
}

// shapesName gives the stem of the function for a class's arguments.
func shapesName(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(name, "OutputReference"), "List")
	return strings.ToLower(name[:1]) + name[1:]
}
