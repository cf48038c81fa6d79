/// How the page looks and what moves in it.
enum ReportStyle {
    /// On light and dark.
    static let colours = """
        :root { color-scheme: light dark; --paper: #fff; --ink: #1c1c1e; --soft: #5c5c63; --line: #d9d9de;
          --band: #eef1f5; --box: #dfe6ef; --edge: #8794a8; --accent: #0b5cad;
          --t0: #0072b2; --t1: #d55e00; --t2: #00855f; --t3: #a0447a; --t4: #8a6d00; --t5: #2b7a9e; --t6: #6b6b6b;
          --t7: #8c4a2f; }
        @media (prefers-color-scheme: dark) { :root { --paper: #16171a; --ink: #ececf0; --soft: #a9a9b3;
          --line: #3a3b42; --band: #22252b; --box: #2f3743; --edge: #76839a; --accent: #7db7f5;
          --t0: #56b4e9; --t1: #ff9a52; --t2: #3fcf9f; --t3: #e08ac0; --t4: #e0c040; --t5: #86d3ef; --t6: #b5b5b5;
          --t7: #d99a7c; } }
        """

    /// Of the network's picture.
    static let network = """
        .network text { font-size: 12px; fill: var(--ink); } .network .stage, .network .times { fill: var(--soft); }
        .network .rule { stroke: var(--line); } .network .band { fill: var(--band); }
        .network .block { fill: var(--box); stroke: var(--edge); } .network .paid { fill: var(--edge); }
        .network .path { stroke-width: 3; } .network .skipped { stroke-width: 2; stroke-dasharray: 3 4; opacity: .75; }
        .network .stem { font-size: 11px; }
        .t0 { stroke: var(--t0); } .t1 { stroke: var(--t1); } .t2 { stroke: var(--t2); } .t3 { stroke: var(--t3); }
        .t4 { stroke: var(--t4); } .t5 { stroke: var(--t5); } .t6 { stroke: var(--t6); } .t7 { stroke: var(--t7); }
        .end { fill: var(--paper); stroke-width: 3; }
        """

    /// For light and dark, phones and paper. Pictures bring colours of their own, which dark pages replace.
    static let css = """
        \(colours)
        * { box-sizing: border-box; }
        #following { position: fixed; right: .8rem; bottom: .4rem; margin: 0; padding: .1rem .6rem; font-size: .8rem;
          background: var(--band); border-radius: 1rem; }
        body { margin: 0; background: var(--paper); color: var(--ink);
          font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
        main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
        article + article { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1.5rem; }
        h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
        p { margin: .3rem 0 .8rem; color: var(--soft); max-width: 46rem; }
        dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: .6rem 1.5rem; margin: 0; }
        dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; overflow-wrap: anywhere; }
        /* Shadows where there is more to scroll to: the paper over them moves with what is in it. */
        .wide { overflow-x: auto; margin: .5rem 0; background-repeat: no-repeat; background-color: var(--paper);
          background-image: linear-gradient(to right, var(--paper) 60%, transparent),
            linear-gradient(to left, var(--paper) 60%, transparent),
            linear-gradient(to right, var(--line), transparent), linear-gradient(to left, var(--line), transparent);
          background-position: left, right, left, right; background-size: 2rem 100%, 2rem 100%, 1rem 100%, 1rem 100%;
          background-attachment: local, local, scroll, scroll; }
        .wide:not(figure) > table:not(.map) th:first-child { position: sticky; left: 0; background: var(--paper);
          min-width: min(12rem, 40vw); white-space: normal; }
        table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
        th, td { padding: .28rem .7rem; text-align: right; white-space: nowrap;
          border-bottom: 1px solid var(--line); }
        th[scope=row], thead th:first-child { text-align: left; font-weight: 400; padding-left: 0; }
        thead th { color: var(--soft); font-weight: 600; font-size: .85rem; white-space: normal;
          vertical-align: bottom; }
        figure svg { display: block; max-width: 100%; min-width: 36rem; height: auto; }
        figure img { display: block; max-width: 100%; height: auto; image-rendering: auto; }
        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: .5rem; }
        .charts figure { margin: 0; } .charts figure svg { min-width: 0; width: 100%; max-width: 30rem; }
        figure svg.network { width: 100%; max-width: none; }
        \(network)
        table.map td, table.map thead th { text-align: center; padding: .15rem; border: 2px solid var(--paper); }
        table.map td[style] { min-width: 2.2rem; color: var(--ink);
          background: color-mix(in srgb, var(--t0) calc(var(--p) * 75%), var(--band)); }
        table.map td.fixed { min-width: 2.2rem; background: var(--band); }
        table.map td.in { outline: 2px solid var(--ink); outline-offset: -3px; }
        table.map span { font-size: .72rem; }
        .slider { display: flex; align-items: center; gap: .7rem; color: var(--soft); margin: .6rem 0; }
        .slider input { flex: 1; max-width: 30rem; accent-color: var(--accent); } .slider output { min-width: 4rem; }
        summary { cursor: pointer; font-weight: 600; } summary:focus-visible, input:focus-visible {
          outline: 2px solid var(--accent); outline-offset: 2px; }
        pre { overflow-x: auto; background: var(--band); padding: .8rem; border-radius: 6px; font-size: .82rem; }
        figcaption { color: var(--soft); font-size: .9rem; }
        @media (prefers-color-scheme: dark) {
          svg rect[fill=white] { fill: var(--paper); }
          svg text[fill="#222222"] { fill: var(--ink); } svg text[stroke=white] { stroke: var(--paper); }
          svg [stroke="#ddd"] { stroke: var(--line); } svg [stroke="#222222"] { stroke: var(--ink); }
          svg [stroke="#0072b2"] { stroke: var(--t0); } svg [stroke="#d55e00"] { stroke: var(--t1); }
          svg [stroke="#009e73"] { stroke: var(--t2); } svg [stroke="#a0447a"] { stroke: var(--t3); }
          svg [fill="#0072b2"] { fill: var(--t0); } svg [fill="#d55e00"] { fill: var(--t1); }
          svg [fill="#009e73"] { fill: var(--t2); } svg [fill="#a0447a"] { fill: var(--t3); }
          svg .span { fill: var(--band); } }
        @media print { main { max-width: none; padding: 0; } section, figure { break-inside: avoid; }
          .slider, details:not([open]) { display: none; } body { font-size: 11pt; } }
        """

    /// Moves a policy's probabilities with its slider.
    static let script = """
        function move(page) {
          for (const box of page.querySelectorAll(".policy")) {
            const course = JSON.parse(box.querySelector(".course").textContent);
            const rows = [...box.querySelectorAll("tbody tr")].map(row => [...row.querySelectorAll("td")]);
            const output = box.querySelector("output");
            box.querySelector("input").addEventListener("input", event => {
              const [step, values] = course[event.target.value];
              output.textContent = step;
              values.forEach((row, task) => row.forEach((value, block) => {
                const cell = rows[task][block];
                if (!cell.firstElementChild) return;
                cell.style.setProperty("--p", value);
                cell.firstElementChild.textContent = String(value).replace(/^0(?=\\.)/, "");
              }));
            });
          }
        }
        move(document);

        """

    /// Puts what has changed in its place, and leaves what the reader has opened or moved.
    static let followingScript = """
        let known = "";
        async function follow() {
          const status = document.getElementById("following");
          try {
            const answer = await fetch("main", { headers: { "If-None-Match": known }, cache: "no-store" });
            if (answer.status === 200) {
              const main = document.querySelector("main");
              const open = [...main.querySelectorAll("details")].map(part => part.open);
              const places = [...main.querySelectorAll(".policy input")].map(part => [part.value, part.max]);
              main.innerHTML = await answer.text();
              known = answer.headers.get("ETag");
              move(main);
              main.querySelectorAll("details").forEach((part, index) => { part.open = open[index] || false; });
              main.querySelectorAll(".policy input").forEach((part, index) => {
                if (!places[index] || places[index][0] === places[index][1]) return;
                part.value = places[index][0];
                part.dispatchEvent(new Event("input"));
              });
            }
            status.textContent = answer.ok || answer.status === 304 ? "following" : await answer.text();
          } catch { status.textContent = "the server does not answer"; }
          setTimeout(follow, 2000);
        }
        follow();

        """
}
