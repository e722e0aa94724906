package main

import (
	"fmt"
	"regexp"
	"strings"
)

var primitives = map[string]string{"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}

// writtenType is the type of an argument, nil where how it is written does not say it.
func writtenType(written shape) any {
	var inner any = written.contents
	for _, suffix := range []string{"List", "Map"} {
		if rest, found := strings.CutSuffix(written.contents, suffix); found {
			inner = rest
			break
		}
	}
	// Such as `stringListMap`: a map of lists.
	text := inner.(string)
	for suffix, kind := range map[string]string{"List": "list", "Map": "map"} {
		if rest, found := strings.CutSuffix(text, suffix); found {
			if primitive, known := primitives[rest]; known {
				return []any{written.kind, []any{kind, primitive}}
			}
			return nil
		}
	}
	primitive, known := primitives[text]
	switch {
	case !known:
		return nil
	case written.kind == "simple":
		return primitive
	default:
		return []any{written.kind, primitive}
	}
}

var (
	reads     = regexp.MustCompile(`this\.get(String|Number|Boolean|Any|)(Map|List|)Attribute\(`)
	refers    = regexp.MustCompile(`= new (?:\w+\.)?(\w+)\(this, "\w+"(?:, (true|false))?\)`)
	refersMap = regexp.MustCompile(`= new cdktn\.(String|Number|Boolean|Any)Map(List)?\(this, "\w+"(?:, (true|false))?\)`)
)

// reference is the class that a member is of, and whether it is a set of them.
func reference(getter string) (name string, set bool) {
	if found := refers.FindStringSubmatch(getter); found != nil {
		return found[1], found[2] == "true"
	}
	return "", false
}

// readType is the type of an attribute by how its value is read.
func (m module) readType(of member) (any, error) {
	if found := refersMap.FindStringSubmatch(of.getter); found != nil {
		inner := []any{"map", primitives[strings.ToLower(found[1])]}
		switch {
		case found[2] == "":
			return inner, nil
		case found[3] == "true":
			return []any{"set", inner}, nil
		default:
			return []any{"list", inner}, nil
		}
	}
	if name, set := reference(of.getter); name != "" {
		return m.objectType(name, set)
	}
	if strings.Contains(of.getter, "this.interpolationForAttribute(") {
		return "dynamic", nil
	}
	found := reads.FindStringSubmatch(of.getter)
	if found == nil {
		return nil, fmt.Errorf("nothing says how %s is read", of.name)
	}
	primitive := "string"
	if found[1] != "" {
		primitive = primitives[strings.ToLower(found[1])]
	}
	switch {
	case found[2] == "Map":
		return []any{"map", primitive}, nil
	case found[2] == "List" && strings.Contains(of.getter, "cdktn.Fn.tolist("):
		return []any{"set", primitive}, nil
	case found[2] == "List":
		return []any{"list", primitive}, nil
	default:
		return primitive, nil
	}
}

// objectType is the type of what AWS alone sets and has attributes of its own.
func (m module) objectType(name string, set bool) (any, error) {
	class := m.classes[name]
	if class == nil {
		return nil, fmt.Errorf("there is no class %s", name)
	}
	kind := ""
	switch class.base {
	case "ComplexList":
		kind = "list"
		if set {
			kind = "set"
		}
		class = m.classes[class.element]
	case "ComplexMap":
		kind = "map"
		class = m.classes[class.element]
	}
	if class == nil {
		return nil, fmt.Errorf("%s has no class of elements", name)
	}
	attributes := map[string]any{}
	for _, member := range class.members {
		typ, err := m.readType(member)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", member.name, err)
		}
		attributes[member.name] = typ
	}
	object := []any{"object", attributes}
	if kind == "" {
		return object, nil
	}
	return []any{kind, object}, nil
}
