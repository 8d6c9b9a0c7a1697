--- Knowledge bases and their data sources. Like the jobs of the past, they follow from their
--- numbers; only those that a spec has added have a record.

local ids = require("spec.server.ids")
local json = require("spec.server.json")

local mix, uuid_of = ids.mix, ids.uuid_of
local object, plain, encode, time = json.object, json.plain, json.encode, json.time

local format = string.format

local DAY = 86400
local HISTORY = 3 * 365 * DAY -- all of the past fits into this
local MAX_SOURCES = 4
local CACHED = 1000 -- that are kept: a million jobs are of many

local NAMES = {
  "product-manuals",
  "support tickets",
  "faq",
  "handbook",
  "release notes",
  "price list",
  "contracts",
  "onboarding",
  "press",
  "research",
  "recipes",
  "glossary",
}
local SUFFIXES = { "", " (archive)", " 2024" }
local REGIONS = { "tor1", "nyc3", "fra1" }

local function name_of(base)
  local before = base.index - 1
  local suffix = SUFFIXES[1 + before // #NAMES] or (" %d"):format(base.index)
  return base.name or NAMES[1 + before % #NAMES] .. suffix
end

--- The uuid of something that the API only names.
local function other_uuid(seed)
  return uuid_of("other", seed & 0xFFFFFFFF)
end

--- The uuid of data source i of a knowledge base: that of the base but for its end.
local function source_uuid(base, i)
  return format("%s%012x", base.uuid:sub(1, 24), base.seed + i & 0xFFFFFFFFFFFF)
end

-- Where the data of a source is, by its kind: name of the member, and its text.
local PLACES = {
  function(base)
    return "spaces_data_source", object(
      "bucket_name", encode((name_of(base):gsub("%W+", "-"))), "item_path", '"pdf/"',
      "region", '"tor1"'
    )
  end,
  function()
    return "web_crawler_data_source", object(
      "base_url", '"https://docs.example.com/guide"', "crawling_option", '"SCOPED"',
      "embed_media", "true", "exclude_tags", '["nav","footer"]'
    )
  end,
  function()
    return "file_upload_data_source", object(
      "original_file_name", '"catalogue.csv"', "size_in_bytes", '"1048576"',
      "stored_object_key", '"uploads/catalogue.csv"'
    )
  end,
  function()
    return "aws_data_source", object("bucket_name", '"exports"', "region", '"eu-central-1"')
  end,
  function()
    return "dropbox_data_source", object("folder", '"/shared"')
  end,
  function()
    return "google_drive_data_source", object("folder_id", '"0B7x"')
  end,
}

--- JSON object of data source i of a knowledge base that was created at this time. `last_job` is
-- the text of what its latest job says of it.
local function source_json(base, created, i, last_job)
  local hash = mix(base.seed + i)
  local place, where = PLACES[1 + hash % #PLACES](base)
  local is_old = place == "spaces_data_source" and hash & 1024 ~= 0 -- has the deprecated fields
  return object(
    "uuid", plain(source_uuid(base, i)),
    "created_at", time(created), "updated_at", time(created),
    "chunking_algorithm", '"CHUNKING_ALGORITHM_SECTION_BASED"',
    "chunking_options", hash & 2048 ~= 0 and '{"max_chunk_size":750}' or nil,
    place, where,
    "bucket_name", is_old and '"manuals"' or nil, "item_path", is_old and '"pdf/"' or nil,
    "region", is_old and '"tor1"' or nil,
    "last_datasource_indexing_job", last_job
  )
end

--- JSON object of a knowledge base that was created at this time. `last_job` is the text of its
-- latest job.
local function base_json(base, created, last_job, updated)
  local seed = base.seed
  return object(
    "uuid", plain(base.uuid), "name", encode(name_of(base)),
    "created_at", time(created), "updated_at", time(updated or created),
    "added_to_agent_at", seed & 16 ~= 0 and not base.created and time(created + DAY) or nil,
    "region", plain(REGIONS[1 + (seed >> 20) % #REGIONS]),
    "embedding_model_uuid", plain(other_uuid(1)), "project_id", plain(other_uuid(2)),
    "database_id", plain(other_uuid(seed >> 3)), "user_id", '"18446744"',
    "is_public", json.flag(seed & 32 ~= 0),
    "tags", seed & 64 ~= 0 and '["production","docs"]' or nil,
    "reranking_config", seed & 128 ~= 0 and '{"enabled":true}' or nil,
    "last_indexing_job", last_job
  )
end

--- The state of a knowledge base's database.
local function database_status(base, now)
  return now < (base.online_at or now) and "CREATING" or base.database_status or "ONLINE"
end

local bases_methods = {}

--- The knowledge base of this number, from 1; those that were added come last.
function bases_methods:get(index)
  local base = self.added[index] or self.cache[index]
  if not base then
    local seed = mix(index * 0x9E3779B9)
    base = {
      index = index,
      uuid = uuid_of("knowledge_base", index),
      seed = seed,
      source_count = 1 + (seed >> 7) % MAX_SOURCES,
    }
    self.cached = self.cached + 1
    if self.cached > CACHED then
      self.cache, self.cached = {}, 1
    end
    self.cache[index] = base
  end
  return base
end

--- When it was created: before all jobs, unless it was added.
function bases_methods:created(base)
  return base.created or self.epoch - HISTORY - base.index * 3600
end

--- The knowledge base with this uuid, or nil.
function bases_methods:find(uuid)
  local index = ids.number_of("knowledge_base", uuid)
  return index and index >= 1 and index <= self:total() and self:get(index) or nil
end

function bases_methods:total()
  return self.count + self.added_count
end

--- The knowledge base at a place of the list, from 1, the newest first.
function bases_methods:at(place)
  local added = self.added_count
  return self:get(place <= added and self.count + added + 1 - place or place - added)
end

--- Adds one. Its database is CREATING for `database_time` seconds, then has the `database_status`.
function bases_methods:add(name, now, database_time, status)
  local index = self:total() + 1
  local base = self:get(index)
  self.added_count = self.added_count + 1
  base.name = name
  base.created = now
  base.online_at = now + (database_time or 0)
  base.database_status = status
  self.added[index] = base
  return base
end

local bases_metatable = { __index = bases_methods }

local function new(count, epoch)
  return setmetatable({
    count = count,
    epoch = epoch,
    added_count = 0,
    added = {},
    cache = {},
    cached = 0,
  }, bases_metatable)
end

return {
  new = new,
  source_uuid = source_uuid,
  source_json = source_json,
  json = base_json,
  database_status = database_status,
}
