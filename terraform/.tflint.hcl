# Rules of Terraform's language alone: AWS's own come with a plugin that would be downloaded.
plugin "terraform" {
  enabled = true
  preset  = "all"
}
