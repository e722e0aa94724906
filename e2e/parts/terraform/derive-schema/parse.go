package main

import (
	"regexp"
	"strings"
)

// module is what interests us of a generated file.
type module struct {
	classes map[string]*class
	// What the functions `thingToHclTerraform` say of the arguments of a block, by `thing`.
	shapes map[string]map[string]shape
}

type class struct {
	base    string
	typ     string           // the name in configurations
	element string           // of a list: the class of its elements
	members []member         // in the order of the file
	shapes  map[string]shape // of a resource's own arguments
}

// member is an attribute or a block, as the comment above it and its getter say.
type member struct {
	name                         string
	computed, optional, required bool
	getter                       string
}

// shape is how an argument is written.
type shape struct {
	block          bool
	kind, contents string // such as `set`, `stringList`
}

var (
	classLine  = regexp.MustCompile(`^class (\w+) extends cdktn\.(\w+) \{`)
	shapesLine = regexp.MustCompile(`^function (\w+)ToHclTerraform\(`)
	typeLine   = regexp.MustCompile(`^    static tfResourceType = "(\w+)";`)
	memberLine = regexp.MustCompile(`^    // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)`)
	elementOf  = regexp.MustCompile(`return new (?:\w+\.)?(\w+)\(this\.terraformResource, this\.terraformAttribute, `)
	oneShape   = regexp.MustCompile(`(?m)^ +(\w+): \{\n +value: .*\n +isBlock: (\w+),\n +type: "(\w+)",\n +storageClassType: "(\w+)",`)
)

// parse takes a generated file apart at what begins in a line's first column.
func parse(source string) module {
	out := module{classes: map[string]*class{}, shapes: map[string]map[string]shape{}}
	for len(source) > 0 {
		end := strings.Index(source, "\n}\n")
		if end < 0 {
			break
		}
		piece := source[:end]
		source = source[end+3:]
		// What stands before the piece's own first line is statements and comments.
		for at := 0; at < len(piece); {
			line, _, _ := strings.Cut(piece[at:], "\n")
			if found := classLine.FindStringSubmatch(line); found != nil {
				out.classes[found[1]] = parseClass(found[2], piece[at:])
				break
			}
			if found := shapesLine.FindStringSubmatch(line); found != nil {
				out.shapes[found[1]] = parseShapes(piece[at:])
				break
			}
			at += len(line) + 1
		}
	}
	return out
}

func parseClass(base, text string) *class {
	out := &class{base: base, shapes: map[string]shape{}}
	if found := elementOf.FindStringSubmatch(text); found != nil {
		out.element = found[1]
	}
	before, after, _ := strings.Cut(text, "    synthesizeHclAttributes() {")
	out.shapes = parseShapes(after)
	var getter strings.Builder
	keep := func() {
		if len(out.members) > 0 {
			out.members[len(out.members)-1].getter = getter.String()
		}
		getter.Reset()
	}
	for _, line := range strings.Split(before, "\n") {
		if found := typeLine.FindStringSubmatch(line); found != nil {
			out.typ = found[1]
		}
		if found := memberLine.FindStringSubmatch(line); found != nil {
			keep()
			out.members = append(out.members, member{
				name: found[1], computed: found[2] == "true", optional: found[3] == "true", required: found[4] == "true",
			})
			continue
		}
		getter.WriteString(line)
		getter.WriteByte('\n')
	}
	keep()
	return out
}

func parseShapes(text string) map[string]shape {
	out := map[string]shape{}
	for _, found := range oneShape.FindAllStringSubmatch(text, -1) {
		out[found[1]] = shape{block: found[2] == "true", kind: found[3], contents: found[4]}
	}
	return out
}
