--- What an editor needs to know of jobs, pages and operations; never loaded by a program.
--- Fields as https://docs.digitalocean.com/reference/api/digitalocean/ has them: each may be
--- missing, and the server may send further ones.
---@meta gradient.types

-- luacheck: no unused

---@class gradient
local gradient = {}

--- Reads an RFC 3339 date-time, as the API writes them. A leap second (:60) counts as the first
--- second of the next minute.
---
--- ```lua
--- print(os.time() - gradient.timestamp("2026-01-31T18:00:00Z"), "seconds ago")
--- ```
---@param text string
---@return number? seconds  since the epoch: an integer where whole, else a float
---@return string? message  when it is none
function gradient.timestamp(text) end

--- Is this job over, one way or another? A job in a phase that this module does not know is over
--- when it has a final status, or a time in `finished_at`.
---@param job gradient.job
---@return boolean
function gradient.is_finished(job) end

--- How a job ended. "partial": it succeeded, but some files were not indexed. "no_changes": it
--- succeeded, and there was nothing to index. A job that ended in an unknown way counts as failed.
---@param job gradient.job
---@return gradient.outcome? outcome  nil while the job is not over
function gradient.outcome(job) end

--- How a job ended.
---@alias gradient.outcome
---| "succeeded"
---| "partial"
---| "no_changes"
---| "failed"
---| "cancelled"

--- How far a job has got.
---
--- ```lua
--- local progress = gradient.progress(job)
--- print(progress.done, progress.total or "?", progress.unit)
--- ```
---@param job gradient.job
---@return gradient.progress
function gradient.progress(job) end

--- How far a job has got.
---@class gradient.progress
---@field done number  an integer, unless it is too large for one
---@field total? number  nil as long as it is not known
---@field unit "files"|"bytes"|"data sources"  the first of these in which the job counts

--- An indexing job. The server leaves out what is zero, false, empty or not known yet: a job that
--- has just been started has no counts at all. gradient.progress and gradient.outcome know what
--- that means. A time that was never set may come as 0001-01-01T00:00:00Z.
---@class gradient.job
---@field uuid? string
---@field knowledge_base_uuid? string
---@field data_source_uuids? string[]
---@field phase? gradient.job_phase|string
---@field status? gradient.job_status|string
---@field created_at? string  RFC 3339, see gradient.timestamp
---@field started_at? string
---@field finished_at? string
---@field updated_at? string
---@field completed_datasources? integer
---@field total_datasources? integer
---@field tokens? integer  deprecated
---@field total_items_failed? string  uint64 in decimal; on its way out of the API, as the next two
---@field total_items_indexed? string
---@field total_items_skipped? string
---@field total_tokens? string  uint64 in decimal
---@field is_report_available? boolean  whether there is a report to retrieve
---@field data_source_jobs? gradient.data_source[]

--- A data source within a job, and what became of it.
---@class gradient.data_source
---@field data_source_uuid? string
---@field status? gradient.data_source_status|string
---@field started_at? string
---@field completed_at? string
---@field error_msg? string
---@field error_details? string
---@field failed_item_count? string  uint64 in decimal
---@field indexed_file_count? string  uint64 in decimal
---@field indexed_item_count? string  uint64 in decimal
---@field removed_item_count? string  uint64 in decimal
---@field skipped_item_count? string  uint64 in decimal
---@field total_bytes? string  uint64 in decimal
---@field total_bytes_indexed? string  uint64 in decimal
---@field total_file_count? string  uint64 in decimal

--- A knowledge base. As with jobs, what is empty or not set is left out.
---@class gradient.knowledge_base
---@field uuid? string
---@field name? string
---@field created_at? string  RFC 3339, see gradient.timestamp
---@field updated_at? string
---@field added_to_agent_at? string
---@field database_id? string
---@field embedding_model_uuid? string
---@field is_public? boolean
---@field last_indexing_job? gradient.job
---@field project_id? string
---@field region? string
---@field reranking_config? table
---@field tags? string[]
---@field user_id? string  int64 in decimal

--- A data source of a knowledge base, with one of the tables that say where its data is.
---@class gradient.knowledge_base_data_source
---@field uuid? string
---@field created_at? string
---@field updated_at? string
---@field chunking_algorithm? string
---@field chunking_options? table
---@field last_datasource_indexing_job? gradient.data_source
---@field spaces_data_source? { bucket_name: string?, item_path: string?, region: string? }
---@field web_crawler_data_source? gradient.web_crawler_data_source
---@field file_upload_data_source? gradient.file_upload_data_source
---@field aws_data_source? table
---@field dropbox_data_source? table
---@field google_drive_data_source? table
---@field bucket_name? string  deprecated
---@field item_path? string  deprecated
---@field region? string  deprecated

--- Where a web crawler begins, and what it follows.
---@class gradient.web_crawler_data_source
---@field base_url? string
---@field crawling_option? string
---@field embed_media? boolean
---@field exclude_tags? string[]

--- A file that was uploaded.
---@class gradient.file_upload_data_source
---@field original_file_name? string
---@field size_in_bytes? string  uint64 in decimal
---@field stored_object_key? string

--- One page of knowledge bases.
---@class gradient.knowledge_base_page
---@field knowledge_bases gradient.knowledge_base[]
---@field links? { pages: gradient.links? }
---@field meta? gradient.meta

--- One page of the data sources of a knowledge base.
---@class gradient.knowledge_base_data_source_page
---@field knowledge_base_data_sources gradient.knowledge_base_data_source[]
---@field links? { pages: gradient.links? }
---@field meta? gradient.meta

--- A knowledge base and the state of its database.
---@class gradient.knowledge_base_answer
---@field knowledge_base gradient.knowledge_base
---@field database_status? gradient.database_status|string

--- When the platform starts a knowledge base's jobs by itself.
---@class gradient.indexing_info
---@field uuid? string
---@field knowledge_base_uuid? string
---@field time? string  "HH:MM:SS", UTC
---@field days? integer[]  1 (Monday) to 7 (Sunday)
---@field is_active? boolean
---@field created_at? string
---@field updated_at? string
---@field deleted_at? string
---@field last_ran_at? string
---@field next_run_at? string

--- One page of jobs.
---@class gradient.page
---@field jobs gradient.job[]
---@field links? { pages: gradient.links? }
---@field meta? gradient.meta

--- Addresses of other pages, as the server sends them. The iterators count pages instead.
---@class gradient.links
---@field first? string
---@field last? string
---@field next? string
---@field previous? string
---@field prev? string

--- Where a page is in its list, and how long the list is.
---@class gradient.meta
---@field page? integer
---@field pages? integer
---@field total? integer

--- What came with an answer.
---@class gradient.response
---@field status integer
---@field headers table<string, string>  names in lower case
---@field request_id? string
---@field ratelimit { limit: integer?, remaining: integer?, reset: integer? }
---@field attempts integer  requests that were made, this answer's included
---@field elapsed number  seconds from the first request to the end of the answer
---@field attached? boolean  of start: whether the job was under way already

--- Which page to ask for.
---@class gradient.list_params
---@field page? integer  from 1
---@field per_page? integer  at most 200; default: 20 for `list`, 200 for `each` and `pages`

--- Where to begin, and which jobs to yield.
---@class gradient.each_params: gradient.list_params
---@field knowledge_base_uuid? string  only the jobs of this knowledge base
---@field phase? gradient.job_phase|string|string[]  only those in this phase, or one of these
---@field status? gradient.job_status|string|string[]  only those with this status, or one of these
---@field since? string|number  only those created at this time or later: RFC 3339, or seconds

--- What to index.
---@class gradient.create_params
---@field knowledge_base_uuid string
---@field data_source_uuids? string[]  default: all data sources

--- Options of an iteration.
---@class gradient.iteration_options: gradient.call_options
---@field prefetch? integer  pages that are requested ahead; default 1

--- When to index.
---@class gradient.schedule_params
---@field knowledge_base_uuid string
---@field time string  "HH:MM" from "00:00" to "23:59", UTC
---@field days integer[]  1 (Monday) to 7 (Sunday), at least one

--- Indexing jobs: list them, follow them, start and cancel them. An operation returns its answer
--- and a response, or `nil` and an error.
---@class gradient.indexing_jobs
local indexing_jobs = {}

--- One page of jobs.
---
--- ```lua
--- local page, err = gradient.indexing_jobs.list{ page = 1, per_page = 50 }
--- if not page then error(err) end
--- for _, job in ipairs(page.jobs) do print(job.uuid, job.phase) end
--- ```
---@param params? gradient.list_params
---@param options? gradient.call_options
---@return gradient.page? page
---@return gradient.response|gradient.error response
function indexing_jobs.list(params, options) end

--- Every job of every page, each once, even while the list changes. The loop raises the error that
--- `list` would have returned.
---
--- ```lua
--- for job in gradient.indexing_jobs.each() do print(job.uuid, gradient.outcome(job)) end
--- ```
---@param params? gradient.each_params
---@param options? gradient.iteration_options
---@return fun(): gradient.job
function indexing_jobs.each(params, options) end

--- Every page of jobs. The loop raises the error that `list` would have returned.
---
--- ```lua
--- for page, response in gradient.indexing_jobs.pages() do
---   print(#page.jobs, page.meta.total, response.elapsed)
--- end
--- ```
---@param params? gradient.list_params
---@param options? gradient.iteration_options
---@return fun(): gradient.page, gradient.response
function indexing_jobs.pages(params, options) end

--- One job.
---@param uuid string
---@param options? gradient.call_options
---@return { job: gradient.job }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.retrieve(uuid, options) end

--- Starts a job.
---
--- ```lua
--- local answer, err = gradient.indexing_jobs.create{ knowledge_base_uuid = knowledge_base_uuid }
--- if not answer then error(err) end
--- print(answer.job.uuid)
--- ```
---@param params gradient.create_params
---@param options? gradient.call_options
---@return { job: gradient.job }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.create(params, options) end

--- Starts a job, or joins the one that the knowledge base has under way. If the server refuses to
--- start another one, the answer is the job that is not over.
---@param params gradient.create_params
---@param options? gradient.call_options
---@return { job: gradient.job }? answer
---@return gradient.response|gradient.error response  `attached` is true when the job was under way
function indexing_jobs.start(params, options) end

--- Cancels a job.
---@param uuid string
---@param options? gradient.call_options
---@return { job: gradient.job }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.update_cancel(uuid, options) end

--- The data sources of a job, each with its progress.
---@param uuid string
---@param options? gradient.call_options
---@return { indexed_data_sources: gradient.data_source[] }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.retrieve_data_sources(uuid, options) end

--- The URL of a job's report, valid for some minutes. Everybody who knows it can read the report.
--- An error of kind not_found when there is none.
---@param uuid string
---@param options? gradient.call_options
---@return { signed_url: string }? answer
---@return gradient.response|gradient.error response
function indexing_jobs.retrieve_signed_url(uuid, options) end

--- The report of a job as CSV, with a line for each file: what was indexed, skipped, or failed. It
--- is fetched from its signed URL over https, without the token and without your headers. An error
--- of kind not_found when there is none.
---@param uuid string
---@param options? gradient.call_options  `headers` and `query` are for the API only
---@return string? text
---@return gradient.response|gradient.error response  of the host that has the report
function indexing_jobs.retrieve_report(uuid, options) end

--- The latest 15 jobs of a knowledge base, which are all that the platform keeps.
---@param uuid string  of the knowledge base
---@param options? gradient.call_options
---@return gradient.page? page
---@return gradient.response|gradient.error response
function indexing_jobs.list_by_knowledge_base(uuid, options) end

--- Waits until a job is over.
---
--- ```lua
--- local answer, err = gradient.indexing_jobs.wait_for_completion(uuid, {
---   poll_interval = 10, timeout = 3600,
---   on_progress = function(job) print(gradient.progress(job).done) end,
--- })
--- if not answer then print(err.kind, err.job and err.job.phase) end
--- ```
---@param uuid string
---@param settings? gradient.poll_settings
---@param options? gradient.call_options
---@return { job: gradient.job }? answer  when it succeeded, also partially or without changes
---@return gradient.response|gradient.error response
function indexing_jobs.wait_for_completion(uuid, settings, options) end

--- Knowledge bases: list them, find them, wait for their databases.
---@class gradient.knowledge_bases
---@field indexing_jobs gradient.indexing_jobs  the same table as gradient.indexing_jobs
---@field data_sources gradient.knowledge_base_data_sources
local knowledge_bases = {}

--- One page of knowledge bases.
---@param params? gradient.list_params
---@param options? gradient.call_options
---@return gradient.knowledge_base_page? page
---@return gradient.response|gradient.error response
function knowledge_bases.list(params, options) end

--- Every knowledge base of every page, each once.
---@param params? gradient.list_params
---@param options? gradient.iteration_options
---@return fun(): gradient.knowledge_base
function knowledge_bases.each(params, options) end

--- Every page of knowledge bases.
---@param params? gradient.list_params
---@param options? gradient.iteration_options
---@return fun(): gradient.knowledge_base_page, gradient.response
function knowledge_bases.pages(params, options) end

--- One knowledge base, and the state of its database.
---@param uuid string
---@param options? gradient.call_options
---@return gradient.knowledge_base_answer? answer
---@return gradient.response|gradient.error response
function knowledge_bases.retrieve(uuid, options) end

--- The knowledge base with this uuid, else the one with exactly this name. An error of kind
--- not_found has similar names in `names`; one of kind conflict has the uuids of all that bear the
--- name in `uuids`.
---
--- ```lua
--- local answer, err = gradient.knowledge_bases.find "handbook"
--- print(answer and answer.knowledge_base.uuid or err)
--- ```
---@param name string  or uuid
---@param options? gradient.call_options
---@return gradient.knowledge_base_answer? answer  found by name, without database_status
---@return gradient.response|gradient.error response
function knowledge_bases.find(name, options) end

--- Waits until the database of a knowledge base is online. A knowledge base that was just created
--- refuses jobs for minutes.
---@param uuid string
---@param settings? gradient.poll_settings
---@param options? gradient.call_options
---@return gradient.knowledge_base_answer? answer
---@return gradient.response|gradient.error response
function knowledge_bases.wait_for_database(uuid, settings, options) end

--- The data sources of a knowledge base.
---@class gradient.knowledge_base_data_sources
local data_sources = {}

--- One page of the data sources of a knowledge base.
---@param knowledge_base_uuid string
---@param params? gradient.list_params
---@param options? gradient.call_options
---@return gradient.knowledge_base_data_source_page? page
---@return gradient.response|gradient.error response
function data_sources.list(knowledge_base_uuid, params, options) end

--- Every data source of a knowledge base, each once.
---@param knowledge_base_uuid string
---@param params? gradient.list_params
---@param options? gradient.iteration_options
---@return fun(): gradient.knowledge_base_data_source
function data_sources.each(knowledge_base_uuid, params, options) end

--- Every page of the data sources of a knowledge base.
---@param knowledge_base_uuid string
---@param params? gradient.list_params
---@param options? gradient.iteration_options
---@return fun(): gradient.knowledge_base_data_source_page, gradient.response
function data_sources.pages(knowledge_base_uuid, params, options) end

--- Schedules by which the platform starts jobs by itself.
---@class gradient.scheduled_indexing
local scheduled_indexing = {}

--- Makes the platform index a knowledge base on these days, at this time.
---@param params gradient.schedule_params
---@param options? gradient.call_options
---@return { indexing_info: gradient.indexing_info }? answer
---@return gradient.response|gradient.error response
function scheduled_indexing.create(params, options) end

--- When a knowledge base is indexed. An error of kind not_found when it has no schedule.
---@param knowledge_base_uuid string
---@param options? gradient.call_options
---@return { indexing_info: gradient.indexing_info }? answer
---@return gradient.response|gradient.error response
function scheduled_indexing.retrieve(knowledge_base_uuid, options) end

--- Ends scheduled indexing.
---@param uuid string  of the schedule, as create and retrieve return it
---@param options? gradient.call_options
---@return { indexing_info: gradient.indexing_info }? answer
---@return gradient.response|gradient.error response
function scheduled_indexing.delete(uuid, options) end
