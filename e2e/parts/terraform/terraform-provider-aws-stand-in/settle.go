package main

import (
	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// settle decides on everything that a plan left open, alike for alike configurations.
func (s *server) settle(typ string, schema *tfprotov5.Schema, planned *tfprotov5.DynamicValue) (*tfprotov5.DynamicValue, error) {
	value, err := planned.Unmarshal(schema.ValueType())
	if err != nil || value.IsNull() {
		return planned, err
	}
	inner := map[string]tftypes.Value{}
	if err := value.As(&inner); err != nil {
		return nil, err
	}
	one := identify(typ, inner, s.settings.region)
	settled, err := tftypes.Transform(value, func(path *tftypes.AttributePath, part tftypes.Value) (tftypes.Value, error) {
		if part.IsKnown() {
			return part, nil
		}
		name := attributeAt(path)
		if name == "tags_all" && len(path.Steps()) == 1 {
			return s.allTags(part.Type(), inner["tags"])
		}
		return one.invent(part.Type(), name), nil
	})
	if err != nil {
		return nil, err
	}
	packed, err := tfprotov5.NewDynamicValue(schema.ValueType(), settled)
	return &packed, err
}

// allTags are the resource's own over those of the provider.
func (s *server) allTags(typ tftypes.Type, own tftypes.Value) (tftypes.Value, error) {
	all := map[string]tftypes.Value{}
	for key, value := range s.settings.tags {
		all[key] = value
	}
	if known(own) {
		mine := map[string]tftypes.Value{}
		if err := own.As(&mine); err != nil {
			return own, err
		}
		for key, value := range mine {
			all[key] = value
		}
	}
	return tftypes.NewValue(typ, all), nil
}

// attributeAt is the name of the innermost attribute of a path.
func attributeAt(path *tftypes.AttributePath) string {
	steps := path.Steps()
	for index := len(steps) - 1; index >= 0; index-- {
		if name, is := steps[index].(tftypes.AttributeName); is {
			return string(name)
		}
	}
	return ""
}

// invent makes up a value. Of what has attributes of its own there is one, because modules read such as `endpoint[0].address`.
func (o identity) invent(typ tftypes.Type, name string) tftypes.Value {
	switch typ := typ.(type) {
	case tftypes.Object:
		inner := map[string]tftypes.Value{}
		for name, typ := range typ.AttributeTypes {
			inner[name] = o.invent(typ, name)
		}
		return tftypes.NewValue(typ, inner)
	case tftypes.List:
		return tftypes.NewValue(typ, o.elements(typ.ElementType, name))
	case tftypes.Set:
		return tftypes.NewValue(typ, o.elements(typ.ElementType, name))
	case tftypes.Map:
		return tftypes.NewValue(typ, map[string]tftypes.Value{})
	}
	switch {
	case typ.Is(tftypes.String):
		return tftypes.NewValue(typ, o.text(name))
	case typ.Is(tftypes.Number):
		return tftypes.NewValue(typ, numbers[name])
	case typ.Is(tftypes.Bool):
		return tftypes.NewValue(typ, false)
	default:
		return tftypes.NewValue(typ, nil)
	}
}

func (o identity) elements(typ tftypes.Type, name string) []tftypes.Value {
	out := []tftypes.Value{}
	if typ.Is(tftypes.Object{}) {
		return append(out, o.invent(typ, name))
	}
	for _, pattern := range lists[o.typ+"."+name] {
		out = append(out, tftypes.NewValue(tftypes.String, o.expand(pattern)))
	}
	return out
}
