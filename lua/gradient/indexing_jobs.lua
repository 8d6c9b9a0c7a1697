--- Indexing jobs: what fills a knowledge base.
--- https://docs.digitalocean.com/reference/api/digitalocean/#tag/GradientAI-Platform
--- types.lua says what each operation takes and returns.

local check = require "gradient.check"
local completion = require "gradient.completion"

return {
  list = {
    method = "GET", path = "v2/gen-ai/indexing_jobs", member = "jobs", opener = "[",
    query = { page = check.integer, per_page = check.integer },
    filter = { knowledge_base_uuid = check.id },
  },
  list_by_knowledge_base = {
    method = "GET", path = "v2/gen-ai/knowledge_bases/{uuid}/indexing_jobs",
    member = "jobs", opener = "[",
  },
  retrieve = {
    method = "GET", path = "v2/gen-ai/indexing_jobs/{uuid}", member = "job", opener = "{",
  },
  create = {
    method = "POST", path = "v2/gen-ai/indexing_jobs", member = "job", opener = "{",
    body = { knowledge_base_uuid = check.id, data_source_uuids = check.ids },
    required = { "knowledge_base_uuid" },
  },
  update_cancel = {
    method = "PUT", path = "v2/gen-ai/indexing_jobs/{uuid}/cancel", member = "job", opener = "{",
    body = { uuid = check.id },
  },
  retrieve_data_sources = {
    method = "GET", path = "v2/gen-ai/indexing_jobs/{uuid}/data_sources",
    member = "indexed_data_sources", opener = "[",
  },
  retrieve_signed_url = {
    method = "GET", path = "v2/gen-ai/indexing_jobs/{uuid}/details_signed_url",
    member = "signed_url", opener = '"',
  },
  wait_for_completion = completion,
}
