package main

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// The account of AWS's own examples.
const account = "123456789012"

// identity is what a resource is called by.
type identity struct {
	typ, kind string // with and without `data.`
	values    map[string]tftypes.Value
	name      string
	region    string
	digest    string // of type and configuration, in hexadecimal digits
}

// Which argument holds the name, the first that there is.
var nameArguments = []string{
	"name", "bucket", "function_name", "cluster_identifier", "cluster_name", "workgroup_name", "namespace_name", "alarm_name",
	"dashboard_name", "table_name", "identifier", "key_id", "role", "id",
}

func identify(typ string, values map[string]tftypes.Value, region string) identity {
	if own := text(values["region"]); own != "" {
		region = own
	}
	sum := sha256.New()
	sum.Write([]byte(typ))
	for _, name := range sortedKeys(values) {
		sum.Write([]byte(name + "=" + values[name].String() + "\n"))
	}
	out := identity{
		typ: typ, kind: strings.TrimPrefix(typ, "data."), values: values, region: region, digest: hex.EncodeToString(sum.Sum(nil)),
	}
	for _, argument := range nameArguments {
		if out.name = text(values[argument]); out.name != "" {
			return out
		}
	}
	for _, prefix := range []string{"name_prefix", "bucket_prefix"} {
		if begun := text(values[prefix]); begun != "" {
			out.name = begun + out.digest[:8]
			return out
		}
	}
	out.name = out.digest[:17]
	return out
}

// text is the value of a string that AWS decides on.
func (o identity) text(attribute string) string {
	for _, typ := range []string{o.typ, o.kind, "*"} {
		if pattern, found := texts[typ+"."+attribute]; found {
			return o.expand(pattern)
		}
	}
	if attribute == "arn" {
		service, rest, _ := strings.Cut(strings.TrimPrefix(o.kind, "aws_"), "_")
		return o.expand("arn:aws:" + service + ":{region}:{account}:" + rest + "/{name}")
	}
	return o.name
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

// expand fills in a pattern: `{name}`, `{region}`, `{account}`, `{uuid}`, `{hash6}` to `{hash17}`, another attribute such as `{id}`.
func (o identity) expand(pattern string) string {
	return placeholder.ReplaceAllStringFunc(pattern, func(found string) string {
		word := found[1 : len(found)-1]
		switch word {
		case "name":
			return o.name
		case "region":
			return o.region
		case "account":
			return account
		case "uuid":
			d := o.digest
			// Of version 4: the state's backend looks whether a key's is one.
			return strings.Join([]string{d[:8], d[8:12], "4" + d[13:16], "8" + d[17:20], d[20:32]}, "-")
		case "hash6":
			return o.digest[:6]
		case "hash10":
			return o.digest[:10]
		case "hash17":
			return o.digest[:17]
		}
		if given := text(o.values[word]); given != "" {
			return given
		}
		return o.text(word)
	})
}
