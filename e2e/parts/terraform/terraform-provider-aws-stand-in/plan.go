package main

import (
	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// plan leaves open what AWS will decide: everything computed of what is new, and all tags where the resource's own have changed.
func (s *server) plan(schema *tfprotov5.Schema, prior, proposed *tfprotov5.DynamicValue) (*tfprotov5.DynamicValue, error) {
	typ := schema.ValueType()
	next, err := proposed.Unmarshal(typ)
	if err != nil {
		return nil, err
	}
	if next.IsNull() {
		return proposed, nil
	}
	old := map[string]tftypes.Value{}
	if prior != nil {
		if old, err = fields(prior, schema); err != nil {
			return nil, err
		}
	}
	if len(old) == 0 {
		next, err = open(schema.Block, next)
	} else {
		next, err = openTags(old, next)
	}
	if err != nil {
		return nil, err
	}
	packed, err := tfprotov5.NewDynamicValue(typ, next)
	return &packed, err
}

// openTags makes `tags_all` unknown, unless `tags` stay what they were.
func openTags(old map[string]tftypes.Value, next tftypes.Value) (tftypes.Value, error) {
	inner := map[string]tftypes.Value{}
	if err := next.As(&inner); err != nil {
		return next, err
	}
	all, found := inner["tags_all"]
	if !found || inner["tags"].Equal(old["tags"]) {
		return next, nil
	}
	inner["tags_all"] = tftypes.NewValue(all.Type(), tftypes.UnknownValue)
	return tftypes.NewValue(next.Type(), inner), nil
}

// open makes every computed attribute unknown that the configuration leaves out.
func open(block *tfprotov5.SchemaBlock, value tftypes.Value) (tftypes.Value, error) {
	if !known(value) {
		return value, nil
	}
	inner := map[string]tftypes.Value{}
	if err := value.As(&inner); err != nil {
		return value, err
	}
	for _, attribute := range block.Attributes {
		if attribute.Computed && inner[attribute.Name].IsNull() {
			inner[attribute.Name] = tftypes.NewValue(attribute.Type, tftypes.UnknownValue)
		}
	}
	for _, nested := range block.BlockTypes {
		opened, err := openNested(nested, inner[nested.TypeName])
		if err != nil {
			return value, err
		}
		inner[nested.TypeName] = opened
	}
	return tftypes.NewValue(value.Type(), inner), nil
}

func openNested(nested *tfprotov5.SchemaNestedBlock, value tftypes.Value) (tftypes.Value, error) {
	if !known(value) || nested.Nesting == tfprotov5.SchemaNestedBlockNestingModeMap {
		return value, nil
	}
	if nested.Nesting == tfprotov5.SchemaNestedBlockNestingModeSingle {
		return open(nested.Block, value)
	}
	var elements []tftypes.Value
	if err := value.As(&elements); err != nil {
		return value, err
	}
	for index := range elements {
		opened, err := open(nested.Block, elements[index])
		if err != nil {
			return value, err
		}
		elements[index] = opened
	}
	return tftypes.NewValue(value.Type(), elements), nil
}
