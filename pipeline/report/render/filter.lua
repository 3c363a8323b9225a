-- What Quarto's own filters do for report.qmd: content of one format, numbered figures and tables, and
-- references to them. What report.qmd does not use is refused, as JSON on stderr that pandoc.py reads.

local page = FORMAT:match("^html") ~= nil
local format_name = page and "html" or "typst"

-- Elements that pass as they are; and those with attributes, with the classes and attributes they may have.
local PLAIN = pandoc.List({
  "Para", "Plain", "BulletList", "RawBlock", "RawInline", "Str", "Space", "SoftBreak", "Emph", "Strong",
  "Quoted", "Cite",
})
local ATTRIBUTED = {
  Div = { "content-visible", "content-hidden", "when-format", "headstart-float", "headstart-caption" },
  Header = {}, Code = {}, Table = {}, Link = {},
}
local WORDS = { fig = "Figure", tbl = "Table" }
local numbers, counts = {}, { fig = 0, tbl = 0 }

local function stop(what, fragment, wrong)
  error("\nREFUSED " .. pandoc.json.encode({ what = what, fragment = fragment or "", wrong = wrong or false }) .. "\n", 0)
end

local function words(el) return pandoc.utils.stringify(el) end

local function check(el)
  local known = ATTRIBUTED[el.t]
  if not known then
    if PLAIN:includes(el.t) then return end
    local text = el.text or words(el.content or el)
    stop(("%s '%s'"):format(el.t, text), text:match("%S+"))
  end
  for _, class in ipairs(el.classes) do
    if not pandoc.List(known):includes(class) then stop(("%s class '%s'"):format(el.t, class), class) end
  end
  for name in pairs(el.attributes) do
    if not pandoc.List(known):includes(name) then stop(("%s attribute '%s'"):format(el.t, name), name) end
  end
  if el.t == "Div" and el.identifier ~= "" and not el.classes:includes("headstart-float") then
    stop(("Div '#%s'"):format(el.identifier), el.identifier)
  elseif el.t == "Header" and el.level == 1 then
    stop(("the heading '%s' of level 1, which is the title's,"):format(words(el)), "# " .. words(el))
  elseif el.t == "Table" and #el.caption.long > 0 then
    stop("a caption inside a table", words(el.caption.long))
  end
end

local function metadata(found)
  for key in pairs(found) do
    if key ~= "lang" and key ~= "pagetitle" then stop(("'%s' in YAML inside the text"):format(key), key .. ":") end
  end
end

-- Quarto reads the document's own raw HTML only; see markdown.py for the name "page".
local function raw(el)
  if el.format == "page" then return page and pandoc.RawBlock("html", el.text) or {} end
  if el.format == "typst" then return page and {} or nil end
  if el.format == "html" and el.text:match("^%s*<!%-%-") then return {} end
  if el.format == "html" and el.text:match("^</?bdi>$") then return page and el or {} end
  local first = el.text:match("[^\n]*")
  if el.format == "html" then stop(("HTML '%s' outside a ```{=html} block"):format(first), first) end
  stop(("raw %s '%s'"):format(el.format, first), el.format == "tex" and first or "{=" .. el.format)
end

local function visible(el)
  if el.classes:includes("content-hidden") then
    if el.attributes["when-format"] then stop("content-hidden with a condition", "content-hidden") end
    return {}
  end
  if not el.classes:includes("content-visible") then return end
  local wanted = el.attributes["when-format"]
  if wanted ~= "html" and wanted ~= "typst" then
    stop(("condition 'when-format=%s'"):format(wanted), "content-visible")
  end
  return wanted == format_name and el.content or {}
end

local function number(el)
  if not el.classes:includes("headstart-float") then return end
  local kind = el.identifier:sub(1, 3)
  counts[kind] = counts[kind] + 1
  numbers[el.identifier] = WORDS[kind] .. "\u{a0}" .. counts[kind]
end

local function html_float(el, kind, caption)
  local place = kind == "tbl" and "top" or "bottom"
  local names = ("quarto-float-caption-%s quarto-float-caption quarto-float-%s"):format(place, kind)
  local function html(text) return pandoc.RawBlock("html", text) end
  local above = { html(('<figcaption class="%s" id="%s-caption">'):format(names, el.identifier)),
    pandoc.Plain(caption), html("</figcaption>") }
  local body = { html(('<div aria-describedby="%s-caption">'):format(el.identifier)),
    table.unpack(el.content) }
  body[#body + 1] = html("</div>")
  local parts = pandoc.List({ html(('<figure class="quarto-float quarto-float-%s">'):format(kind)) })
  parts:extend(kind == "tbl" and above or body)
  parts:extend(kind == "tbl" and body or above)
  parts:insert(html("</figure>"))
  return pandoc.Div(parts, { id = el.identifier, class = "quarto-float" })
end

local function typst_float(el, kind, caption)
  local place = kind == "tbl" and "top" or "bottom"
  caption:insert(1, pandoc.RawInline("typst", ("], caption: figure.caption(position: %s, ["):format(place)))
  caption:insert(pandoc.RawInline("typst", (']), kind: "quarto-float-%s", supplement: "%s") <%s>')
    :format(kind, WORDS[kind], el.identifier)))
  return { pandoc.RawBlock("typst", "#figure(["), table.unpack(el.content), pandoc.Plain(caption) }
end

-- A figure's caption stands below it, a table's above.
local function float(el)
  if not el.classes:includes("headstart-float") then return end
  local kind, caption = el.identifier:sub(1, 3), el.content:remove().content[1].content
  if not page then return typst_float(el, kind, caption) end
  caption:insert(1, pandoc.Str(numbers[el.identifier] .. ": "))
  return html_float(el, kind, caption)
end

local function reference(el)
  local one, shown = el.citations[1], words(el)
  if #el.citations > 1 or one.mode ~= "AuthorInText" or #one.suffix > 0 then
    stop(("the citation '%s', which is not a plain @fig-… or @tbl-…,"):format(shown), "@" .. one.id)
  end
  local label = numbers[one.id]
  if not label then stop(("'@%s' refers to nothing; label a cell so."):format(one.id), "@" .. one.id, true) end
  if page then return pandoc.Link(label, "#" .. one.id, "", { class = "quarto-xref" }) end
  return pandoc.RawInline("typst", ("#link(<%s>)[%s]"):format(one.id, label))
end

local function head(el)
  if not page then el.classes:insert("typst:no-figure") end
  for _, row in ipairs(el.head.rows) do
    for _, cell in ipairs(row.cells) do cell.attributes.scope = "col" end
  end
  return el
end

return {
  { Meta = metadata, Block = check, Inline = check },
  { Div = visible, RawBlock = raw, RawInline = raw },
  { traverse = "topdown", Div = number },
  { Div = float, Cite = reference, Table = head },
}
