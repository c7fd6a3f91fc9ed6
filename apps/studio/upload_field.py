"""The field for a photograph: chosen, dropped or pasted, and sent to the studio's memory."""

import gradio as gr

from morphoscope.apps.studio.guard import UPLOAD
from morphoscope.apps.texts import text

_TEMPLATE = f"""
<label class="ms-drop"><input type="file" aria-label="{text("upload.label")}">
<span>{text("upload.drop")} <u>{text("upload.choose")}</u></span>
<small>{text("upload.accepted")}</small></label>
"""
# Listeners stand on `element`, which stays when its content is drawn again.
_SCRIPT = f"""
const page = Math.random().toString(36).slice(2);
const send = async (file) => {{
  if (!file) return;
  let token = "lost";
  try {{
    const query = new URLSearchParams({{ name: file.name, page }});
    const reply = await fetch("{UPLOAD}?" + query, {{ method: "POST", body: file }});
    if (reply.ok) token = (await reply.json()).token;
  }} catch (error) {{ console.warn(error); }}
  props.value = token;
  trigger("upload");
}};
element.addEventListener("change", (event) => {{
  send(event.target.files[0]);
  event.target.value = "";
}});
for (const kind of ["dragover", "drop"])
  element.addEventListener(kind, (event) => {{
    event.preventDefault();
    if (kind === "drop") send(event.dataTransfer.files[0]);
  }});
document.addEventListener("paste", (event) => {{
  if (element.offsetParent === null || !event.clipboardData.files.length) return;
  event.preventDefault();
  send(event.clipboardData.files[0]);
}});
"""


def upload_field() -> gr.HTML:
    """Lay out the field inside the current Blocks context.

    Its event `upload` fires when a file was sent, with the token of `Uploads` as the field's value.
    """
    return gr.HTML("", html_template=_TEMPLATE, js_on_load=_SCRIPT, elem_id="classify-upload")
